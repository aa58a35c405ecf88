"""One MLflow run for one run folder: what it was, where it came from, what it reached; across stops."""

import json
import os
import signal

import mlflow
import pytest
import yaml
from mlflow.tracking import MlflowClient

from lightning_modules.mlflow_logger import Tracking, git_state
from lightning_modules.stage_cli import run_stage
from tests.lightning_modules.conftest import stage_config, write_config
from tests.lightning_modules.stand_in import Disturbance, StandIn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between MLflow and SQLAlchemy


@pytest.fixture(scope="module")
def recorded(clips, tmp_path_factory):
    """A run that Ctrl-C stopped after its third step and was taken up again: its client, then and now."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("tracked")
    patch.chdir(folder)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    content = {**stage_config(clips), "mlflow": {"enabled": True}, "samples": {"every": 1, "count": 1}}
    args = ["fit", "-c", str(write_config(folder / "stage.yaml", content))]
    client = MlflowClient("sqlite:///mlflow.db")
    StandIn.disturbance = Disturbance(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run_stage(args)
    run = json.loads((folder / "runs/stand_in/run.json").read_text())["mlflow"]["run"]
    stopped = client.get_run(run)
    run_stage(args)
    yield client, stopped, client.get_run(run)
    mlflow.set_tracking_uri(None)
    patch.undo()


def test_a_resumed_fit_is_the_same_run_killed_and_then_finished(recorded):
    client, stopped, ended = recorded
    assert stopped.info.status == "KILLED"
    assert ended.info.status == "FINISHED"
    experiment = client.get_experiment_by_name("stand_in")
    assert len(client.search_runs([experiment.experiment_id])) == 1
    assert ended.data.tags["mlflow.runName"] == "stand_in"


def test_parameters_are_the_flattened_config(recorded):
    parameters = recorded[2].data.params
    assert parameters["trainer.max_steps"] == "10"
    assert parameters["model.init_args.lr"] == "0.01"
    assert parameters["data.init_args.batch_size"] == "4"


def test_tags_name_the_data_the_code_and_the_versions(recorded, clips):
    tags = recorded[2].data.tags
    assert len(tags["data"]) == 16
    assert tags["run_dir"].endswith("runs/stand_in")
    assert tags["version.torch"]
    if git_state():
        assert len(tags["git.commit"]) == 40
        assert tags["git.dirty"] in ("True", "False")


def test_metrics_cover_every_step_once_across_the_stop(recorded):
    client, _, ended = recorded
    losses = client.get_metric_history(ended.info.run_id, "train/loss")
    assert [point.step for point in losses] == list(range(10))
    for name in ("val/loss", "lr-AdamW", "throughput/clips_per_second", "throughput/data_wait"):
        assert name in ended.data.metrics


def test_artifacts_are_the_config_and_the_samples_and_no_checkpoint(recorded):
    client, _, ended = recorded
    run = ended.info.run_id
    top = {item.path for item in client.list_artifacts(run)}
    assert {"config.yaml", "samples"} <= top <= {"config.yaml", "samples", "git.diff"}
    samples = {item.path for item in client.list_artifacts(run, "samples")}
    assert "samples/step-0000004-reconstruction-0.mp4" in samples
    assert all(path.endswith(".mp4") for path in samples)
    config = yaml.safe_load(mlflow.artifacts.load_text(f"{ended.info.artifact_uri}/config.yaml"))
    assert config["trainer"]["max_steps"] == 10


def test_the_store_is_the_one_asked_for_else_the_environment_s_else_local(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert Tracking().uri == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert Tracking().uri == "http://server"
    assert Tracking(tracking_uri="sqlite:///mine.db").uri == "sqlite:///mine.db"


def test_without_git_the_state_is_empty(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state() == {}
