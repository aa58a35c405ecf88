"""`lightning test` of a TAE: one table of all peers on the same clips, its JSON, and the fit's MLflow run."""

import json

import mlflow
import pytest
import yaml
from mlflow.tracking import MlflowClient

from console import UserError
from lightning_modules.stage_cli import run_stage
from tests.datamodules.shard_sets import write_clips
from tests.evaluation.metrics.onnx_files import write_mean_colour
from tests.evaluation.tiny_vaes import tiny_vae
from tests.lightning_modules.conftest import write_config

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between MLflow and SQLAlchemy
MEASURES = ("psnr", "ssim", "perceptual", "rfid_like", "rfvd_like")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The folder of a TAE after two steps, recorded in MLflow; 3 held-out clips, so that a batch is short."""
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("fitted")
    patch.chdir(folder)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_clips(folder / "clips", train=4, val=3, bucket="32x32x9")
    shape = {"halves": "compact", "widths": [8, 8, 8], "blocks": 1, "latent_channels": 4}
    model = {"tae": shape, "loss": {"outlier": 0.1}, "optimizer": {"lr": 1e-2}}
    config = {
        "run_dir": "runs/tae",
        "model": {"class_path": "lightning_modules.tae.TAEModule", "init_args": model},
        "data": {
            "class_path": "datamodules.clips.ClipData",
            "init_args": {"shards": "clips", "batch_size": 2, "memory": True},
        },
        "trainer": {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1},
        "samples": {"every": 0},
    }
    write_config(folder / "tae.yaml", config)
    run_stage(["fit", "-c", "tae.yaml"])
    yield folder
    mlflow.set_tracking_uri(None)
    patch.undo()


@pytest.fixture(scope="module")
def tested(fitted):
    """What `lightning test` with a peer of diffusers and a user's extractor leaves in the run's folder."""
    tiny_vae("AutoencoderKLWan").save_pretrained(fitted / "wan")
    write_mean_colour(fitted / "mean.onnx", ["n", 3, "h", "w"], (2, 3))
    options = ["--model.test.peers.wan", "wan", "--model.test.frame_extractor.path", "mean.onnx"]
    run_stage(["test", "-c", "tae.yaml", *options])
    return json.loads((fitted / "runs/tae/test.json").read_text())


def test_a_peer_and_an_extractor_by_path_are_in_the_table(tested):
    rows = tested["comparison"]["rows"]
    assert [(row["autoencoder"], row["resolution"], row["clips"]) for row in rows] == [
        ("tae", "32x32x9", 3),
        ("wan", "32x32x9", 3),
    ]
    assert all(isinstance(row[name], float) for row in rows for name in MEASURES)
    assert tested["comparison"]["names"]["rfid_like"] == "rFID-like (mean.onnx)"
    assert tested["comparison"]["names"]["rfvd_like"] == "rFVD-like (mean.onnx over time)"
    _, wan = tested["comparison"]["autoencoders"]
    assert (wan["time_factor"], wan["space_factor"], wan["channels"]) == (4, 8, 4)


def test_the_numbers_are_in_the_mlflow_run_of_the_fit_at_the_checkpoint_s_step(fitted, tested):
    run = json.loads((fitted / "runs/tae/run.json").read_text())["mlflow"]["run"]
    client = MlflowClient("sqlite:///mlflow.db")
    recorded = client.get_run(run)
    assert recorded.info.status == "FINISHED"
    (point,) = client.get_metric_history(run, "test/wan/psnr")
    assert point.value == pytest.approx(tested["comparison"]["rows"][1]["psnr"])
    assert point.step == 2
    assert recorded.data.metrics["test/psnr"] == pytest.approx(tested["results"][0]["test/psnr"])
    assert [file.path for file in client.list_artifacts(run, "measured")] == ["measured/test.json"]


def test_validation_and_test_agree_on_psnr(fitted, tested):
    run_stage(["validate", "-c", "tae.yaml"])
    measured = json.loads((fitted / "runs/tae/validate.json").read_text())
    assert measured["results"][0]["val/psnr"] == pytest.approx(tested["results"][0]["test/psnr"], abs=1e-3)


def test_the_test_s_table_is_printed_and_the_packaged_network_is_the_default(fitted, capsys):
    run_stage(["test", "-c", "tae.yaml"])
    printed = capsys.readouterr().out
    for told in ("rFID-like (efficientnet-lite0)", "LPIPS-like (efficientnet-lite0)", "8x8x8, 4", "3 clips"):
        assert told in printed
    assert printed.count("PSNR") == 1  # one table: Lightning's own is left out


def test_peers_can_stand_in_the_config_of_a_finished_fit(fitted, capsys):
    config = yaml.safe_load((fitted / "tae.yaml").read_text())
    config["model"]["init_args"]["test"] = {"peers": {"wan": "wan"}}
    write_config(fitted / "more.yaml", config)
    run_stage(["fit", "-c", "more.yaml"])
    assert "is finished (step 2)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model.test.pears.wan", "x"], r"pears.*Did you mean 'peers'\?"),
        (["--model.test.frame_extractor.paht", "x"], r"paht.*Did you mean 'path'\?"),
        (["--model.test.peers.wan", "nowhere"], "'nowhere' is no folder of an autoencoder"),
        (["--model.test.peers.tae", "wan"], "cannot be called 'tae'"),
        (["--model.test.perceptual", "lpips-vgg"], "needs the path of torchvision's vgg16"),
        (["--model.test.frame_extractor.path", "nowhere.onnx"], "no extractor 'nowhere.onnx'"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_message(fitted, options, told):
    with pytest.raises(UserError, match=told):
        run_stage(["test", "-c", "tae.yaml", *options])
