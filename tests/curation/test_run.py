"""The command line: one clear message for every fault, and verbs that answer."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from console import UserError
from curation.config import load
from curation.run import main

ROOT = Path(__file__).parents[2]
DEMO = ["-c", "configs/curation/demo.yaml"]
LIGHT = ["--set", "visual.text_frames=1", "--set", "embed.size=32", "--set", "unit=8"]


def call(*arguments: str, **more) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "curation.run", *map(str, arguments)]
    return subprocess.run(
        command, cwd=more.pop("cwd", ROOT), capture_output=True, text=True, timeout=200, **more
    )


def test_help_answers_without_the_heavy_packages():
    code = "import sys; from curation.run import parser; parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert not {"torch", "mlflow", "cv2", "av", "pyarrow", "onnxruntime", "numpy"} & set(loaded)
    helped = call("--help")
    assert helped.returncode == 0
    assert "--stage motion" in helped.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stage", "moton"], "did you mean 'motion'"),
        (["-c", "configs/none.yaml"], "no config configs/none.yaml"),
        ([*DEMO, "--set", "split.detctors=[content]"], "unknown key 'detctors' .did you mean 'detectors'"),
        ([*DEMO, "--set", "splt.seed=1"], "no section 'splt' .did you mean 'split'"),
        ([*DEMO, "--set", "split.seed"], "expected KEY=VALUE"),
        ([*DEMO, "--set", "split.seed=many"], "expected int, got 'many'"),
        ([*DEMO, "--input", "/nowhere/at/all"], "does not exist"),
        ([*DEMO, "--input", "configs"], "No video in configs"),
        (["explain", "abc", *DEMO, "--input", "/nowhere/at/all"], "does not exist"),
        (["verify", "/nowhere/at/all"], "no folder"),
        (["verify", "configs"], "No index.json"),
    ],
)
def test_faults_of_the_user_have_one_message(arguments, says, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=says):
        main([str(one) for one in arguments])


def test_a_fault_is_one_line_and_exit_code_2():
    failed = call(*DEMO, "--input", "/nowhere/at/all")
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: The input folder /nowhere/at/all does not exist")


def test_the_configs_of_the_project_are_whole():
    for path in (ROOT / "configs" / "curation").glob("*.yaml"):
        assert load(path, {}, []).subset


def test_nothing_that_passes_is_said_with_the_rule_that_rejected_most(config, serial, tmp_path):
    from curation import pipeline

    rules = tmp_path / "none.yaml"
    rules.write_text("rules: [{name: huge, score: short_side, min: 9999}]")
    with pytest.raises(UserError, match=r"rule 'huge' \(short_side >= 9999\) rejected"):
        pipeline.run_all(config(f"subset={rules}"), serial)


def test_files_that_cannot_be_read_are_named_where_no_clip_is_left(config, serial, tmp_path):
    from curation import pipeline

    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "notes.mp4").write_text("no video at all")
    (folder / "empty.mp4").touch()
    with pytest.raises(UserError, match=r"(?s)2 cannot be read:.*empty\.mp4: .*notes\.mp4: not a readable"):
        pipeline.run_all(config(source=folder), serial)


def test_a_full_disk_is_one_message_and_loses_nothing(config, serial, monkeypatch):
    import pyarrow.parquet as pq

    from curation import pipeline

    pipeline.run_tables(config(), "ingest", serial)
    done = sorted(config().work.rglob("*.parquet"))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "part.parquet")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        pipeline.run_tables(config(), "split", serial)
    assert sorted(config().work.rglob("*.parquet")) == done
    assert not list(config().work.rglob(".unfinished-*/*"))


def test_a_full_disk_under_ffmpeg_is_a_full_disk_and_no_bad_clip(tmp_path, monkeypatch):
    from curation import transcode as module
    from curation.stages.shards import Shards

    said = subprocess.CompletedProcess([], 1, b"", b"av_interleaved_write_frame(): No space left on device")
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: said)
    want = {"frames": 16, "rate": 8.0, "width": 64, "height": 64}
    row = {"target": want, "fps": 8.0, "start": 0.0, "end": 2.0,
           "audio": None, "source": "a.mp4"}  # fmt: skip
    with pytest.raises(OSError, match="No space left"):
        module.transcode(tmp_path / "a.mp4", row, tmp_path / "clip.mp4", Shards(copy=False))


def test_the_whole_run_and_its_verbs(raw, tmp_path):
    """One process for each command, as a user types them; MLflow in the folder where the user stands."""
    out = tmp_path / "out"
    given = [*DEMO, "--input", raw, "--out", out, *LIGHT]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    env.pop("MLFLOW_TRACKING_URI", None)
    here = {"cwd": tmp_path, "env": env}
    planned = call("plan", *given, **here)
    assert "never ran" in planned.stdout
    first = call(*given, "--workers", "1", **here)
    assert first.returncode == 0, first.stderr
    assert "no duplicates" in first.stdout
    assert (tmp_path / "mlflow.db").is_file()

    facts = json.loads((out / "report" / "curation.json").read_text())
    assert facts["files"]["all"] == 13
    assert facts["files"]["unreadable"] == 4
    assert facts["files"]["exact_copies"] == 1
    assert (
        facts["funnel"][-1]["left"]
        == facts["clips"]["kept"]
        == facts["clips"]["train"] + facts["clips"]["val"]
    )
    assert facts["examples"]["kept"][0]["frames"][0].startswith("data:image/jpeg;base64,")
    assert any("no still" in clip["reasons"] for clip in facts["examples"]["rejected"])
    page = (out / "report" / "curation.html").read_text()
    assert "http" not in re.sub(r'"data:[^"]*"', "", page)  # opens without a server or a network

    again = call(*given, "--no-mlflow", **here)
    assert "to do" not in again.stderr
    assert "Published" not in again.stderr
    clip = facts["examples"]["kept"][0]["clip_id"]
    explained = call("explain", clip, *given, **here).stdout
    assert "kept" in explained
    assert "vmaf_motion" in explained
    assert call("verify", out, **here).returncode == 0
    assert (
        "no still"
        in call("select", *given, "--subset", ROOT / "configs/curation/subsets/demo.yaml", **here).stdout
    )
    tar = next((out / "shards" / "train").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-100])
    broken = call("verify", out, **here)
    assert broken.returncode == 1
    assert "truncated" in broken.stdout
    assert "up to date" in call("plan", *given, **here).stdout


def facts_of(outcome) -> dict:
    from curation.report.facts import file_facts
    from curation.table import files

    return file_facts(files(outcome.graph))


def clips_without(outcome, score: str) -> int:
    return outcome.clips.column(score).null_count


def test_a_run_that_fails_is_told_to_mlflow(config, tmp_path, monkeypatch):
    import mlflow

    from curation.tracking import tracked

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.chdir(tmp_path)
    wanted = config(f"experiment=failing-{os.getpid()}")
    with pytest.raises(KeyError), tracked(wanted):
        raise KeyError("what")
    (run,) = mlflow.search_runs(experiment_names=[wanted.experiment], output_format="list")
    assert run.info.status == "FAILED"


def test_the_run_is_an_mlflow_run_with_its_funnel(raw, config, serial, tmp_path, monkeypatch):
    from console import Board
    from curation import pipeline
    from curation.report import write_report
    from curation.tracking import tracked

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.chdir(tmp_path)
    wanted = config(f"experiment=tests-{os.getpid()}")
    with tracked(wanted) as tracker:
        outcome = pipeline.run_all(wanted, serial, Board([tracker.listen]))
        tracker.finish(outcome, write_report(wanted, outcome))
    import mlflow

    (run,) = mlflow.search_runs(experiment_names=[wanted.experiment], output_format="list")
    assert run.data.metrics["clips/kept"] == int(outcome.verdicts.kept.sum())
    assert any(name.startswith("funnel/") for name in run.data.metrics)
    assert run.data.metrics["cpu_seconds/motion"] > 0
    assert run.info.status == "FINISHED"
    clips, files = len(outcome.clips), facts_of(outcome)
    told = {key: value for key, value in run.data.metrics.items() if key.startswith("stages/")}
    assert told["stages/ingest/rows"] == files["all"]
    assert sum(v for k, v in told.items() if k.startswith("stages/ingest/rejected/")) == files["unreadable"]
    assert told["stages/visual-motion-embed/rows"] == clips
    assert told["stages/shards/done"] == told["stages/shards/total"] == len(outcome.tars)
    assert told["stages/visual-motion-embed/rejected/no still"] == sum(
        step.fails for step in outcome.verdicts.funnel if step.rule == "no still"
    ) - clips_without(outcome, "frozen")
    paths = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id, "report")}
    assert paths == {"report/curation.html", "report/curation.json"}
