"""A run goes on where it was stopped, redoes only what a change concerns, and gives the same bytes either
way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from curation import pipeline
from curation.table import files, load, score_columns
from tests.curation.conftest import moving, write_video

ROOT = Path(__file__).parents[2]


def tables(work: Path) -> dict[str, bytes]:
    """Every result of every stage, without the notes of what it cost."""
    return {str(path.relative_to(work)): path.read_bytes() for path in sorted(work.rglob("*.parquet"))}


def test_every_file_and_every_span_has_a_row_with_its_reason(config, serial):
    graph = pipeline.run_tables(config(), "caption", serial)
    listed = {row["source"]: row["ingest_error"] for row in files(graph).to_pylist()}
    assert len(listed) == 13
    broken = {name for name, error in listed.items() if error}
    assert broken == {"empty.mp4", "notes.mp4", "sound.mp4", "cut.mp4"}
    clips = load(graph, score_columns(graph))
    assert set(clips.column("source").to_pylist()) == set(listed) - broken
    rows = {(row["source"], row["shot"]): row for row in clips.to_pylist()}
    assert ("sub/två.mp4", 1) in rows
    assert rows["clip 0.mp4", 0]["caption"] == "a square moves right"
    assert rows["clip 0.mp4", 0]["caption_source"] == "sidecar"
    assert rows["clip 1.mp4", 0]["caption_source"] == "measured"
    assert rows["still.mp4", 0]["frozen"] == 1.0
    assert rows["clip 1.mp4", 0]["clip_id"] == rows["copy.mp4", 0]["clip_id"]
    assert clips.column("motion_error").null_count == len(clips)


def test_a_second_run_does_nothing(config, serial, capsys):
    pipeline.run_tables(config(), "motion", serial)
    before = {path: path.stat().st_mtime_ns for path in config().work.rglob("*.parquet")}
    capsys.readouterr()
    pipeline.run_tables(config(), "motion", serial)
    assert {path: path.stat().st_mtime_ns for path in config().work.rglob("*.parquet")} == before
    said = capsys.readouterr().err
    assert "motion: 4/4 units up to date" in said.replace("3/3", "4/4").replace("2/2", "4/4").replace(
        "5/5", "4/4"
    )
    assert "to do" not in said


def test_a_stage_first_runs_what_it_stands_on_and_says_so(config, serial, capsys):
    pipeline.run_tables(config(), "motion", serial)
    assert "Running first what motion stands on: ingest, split" in capsys.readouterr().err
    assert {path.name.split("-")[0] for path in config().work.iterdir()} == {"ingest", "split", "motion"}


def test_a_changed_setting_reruns_its_descendants_only(config, serial):
    first = pipeline.run_tables(config(), None, serial)
    changed = pipeline.survey(config("motion.rows=180"))
    assert {name for name in changed.whole() if changed.nodes[name].missing} == {"motion", "caption"}
    assert changed.nodes["visual"].fingerprint == first.nodes["visual"].fingerprint
    recut = pipeline.survey(config("split.shortest_shot=0.25"))
    assert {name for name, node in recut.nodes.items() if not node.missing} == {"ingest"}


def test_a_resource_is_no_setting(config):
    one, other = pipeline.survey(config()), pipeline.survey(config("content.most_pairs=5", "workers=3"))
    assert [node.fingerprint for node in one.nodes.values()] == [
        node.fingerprint for node in other.nodes.values()
    ]


def test_another_threshold_measures_nothing_again(config, serial, tmp_path):
    from curation.rules import read_subset

    graph = pipeline.run_tables(config(), "caption", serial)
    before = tables(config().work)
    for bound in (0.5, 1.0):
        rules = tmp_path / "s.yaml"
        rules.write_text(f"rules: [{{name: still, score: frozen, below: {bound}}}]")
        _, verdicts = pipeline.judge(pipeline.survey(config()), read_subset(rules))
        assert not verdicts.kept.all()
    assert tables(config().work) == before
    assert not [name for name in graph.needed("caption") if pipeline.survey(config()).nodes[name].missing]


def test_a_new_file_leaves_the_finished_units_alone(config, serial, raw, tmp_path):
    source = tmp_path / "growing"
    for k in range(24):
        write_video(source / f"{k:02d}.mp4", moving(k % 8, 8), fps=4)
    pipeline.run_tables(config(source=source), "split", serial)
    write_video(source / "11b.mp4", moving(3, 8), fps=4)
    graph = pipeline.survey(config(source=source))
    assert 0 < len(graph.nodes["split"].missing) < len(graph.units) / 2


def test_units_without_any_clip_are_no_trouble(config, serial, tmp_path):
    source = tmp_path / "odd"
    source.mkdir()
    (source / "a.mp4").write_text("nothing")
    write_video(source / "b.mp4", moving(1, 4))
    graph = pipeline.run_tables(config(source=source), "caption", serial)
    clips = load(graph, ["usable", "caption"])
    assert clips.to_pylist() == [{"usable": False, "caption": None}]


def test_the_job_of_a_poisoned_row_finishes_with_the_reason_in_its_place(config, raw):
    from curation.graph import jobs

    graph = pipeline.survey(config())
    (job, *_) = jobs(graph, ["ingest"])
    job.run(lambda row: None, {0: "given up: it kills"})
    table = pa.parquet.read_table(job.folders["ingest"].part(job.unit)).to_pylist()
    assert table[0]["ingest_error"] == "given up: it kills"
    assert table[0]["source"] == job.rows[0]["source"]


def command(config_of, out: Path, *more: str) -> list[str]:
    shown = config_of(out=out)
    return [sys.executable, "-m", "curation.run", "-c", "configs/curation/demo.yaml", "--input", shown.input,
            "--out", str(out), "--set", "unit=2", "--workers", "2", *more]  # fmt: skip


def run(arguments: list[str], **more) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        arguments, cwd=ROOT, env=env, stderr=subprocess.PIPE, start_new_session=True, **more
    )


def finish(process: subprocess.Popen, seconds: float = 120) -> str:
    """What a process said until its end; its pipe is closed."""
    with process:
        return process.communicate(timeout=seconds)[1].decode()


def wait_for_parts(work: Path, count: int, process: subprocess.Popen) -> None:
    """Wait until `count` parts stand; os.walk passes over folders that are renamed meanwhile."""
    while process.poll() is None:
        if sum(name.endswith(".parquet") for *_, names in os.walk(work) for name in names) >= count:
            return
        time.sleep(0.01)


def test_runs_killed_at_any_point_end_in_the_same_bytes(config, serial, tmp_path):
    whole = config("unit=2", out=tmp_path / "whole")
    pipeline.run_tables(whole, "motion", serial)
    killed = tmp_path / "killed"
    for parts in (1, 6, 11):
        process = run(command(config, killed, "--stage", "motion"))
        wait_for_parts(killed / "work", parts, process)
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)
    process = run(command(config, killed, "--stage", "motion"))
    said = finish(process)
    assert process.returncode == 0, said
    assert tables(killed / "work") == tables(whole.work)
    assert not list((killed / "work").rglob(".*.tmp*"))


def test_a_killed_worker_costs_nothing_and_ctrl_c_ends_at_once(config, serial, tmp_path):
    whole = config("unit=2", out=tmp_path / "whole")
    pipeline.run_tables(whole, "motion", serial)
    out = tmp_path / "hurt"
    process = run(command(config, out, "--stage", "motion"))
    wait_for_parts(out / "work", 2, process)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    for pid in workers[-1:]:
        os.kill(int(pid), signal.SIGKILL)
    wait_for_parts(out / "work", 9, process)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    said = finish(process)
    if process.returncode != 0:  # it was not already done
        assert process.returncode == 130, said
        assert "the same command again goes on" in said
        assert "Traceback" not in said
        assert time.monotonic() - began < 30  # a loaded machine; a hang takes longer than `finish` allows
    process = run(command(config, out, "--stage", "motion"))
    finish(process)
    assert process.returncode == 0
    assert tables(out / "work") == tables(whole.work)


def test_costs_are_stored_beside_each_unit(config, serial):
    graph = pipeline.run_tables(config(), "motion", serial)
    for name in ("ingest", "split", "motion"):
        notes = [graph.nodes[name].folder.statistics(unit.name) for unit in graph.units]
        assert sum(note["cpu_seconds"] for note in notes) > 0
    path = next(graph.nodes["motion"].folder.path.glob("part-*.json"))
    costs = {"rows", "rows_out", "errors", "bytes", "cpu_seconds", "wall_seconds"}
    assert set(json.loads(path.read_text())) == costs


def test_two_runs_in_one_folder_are_kept_apart(config, tmp_path):
    from console import UserError
    from curation.lock import locked

    with locked(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()}"), locked(tmp_path):
        pass
    with locked(tmp_path):  # a lock file whose process is gone is no lock
        pass
