"""Chained array jobs do what the pool does: the same shares, whole, and what they cannot do is said."""

import dataclasses
import os
from pathlib import Path

import pytest

from console import UserError
from curation import array, pipeline
from curation.config import load
from curation.lock import joined, locked
from tests.curation.engine.test_slurm import scheduler  # noqa: F401
from tests.curation.test_pipeline import command, finish, run, tables

CONFIGS = Path(__file__).parents[2] / "configs" / "curation"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_frozen_settings_are_the_settings(path, tmp_path):
    config = load(path, {}, ["engine.slurm.stages.caption=[--gres=gpu:1]", "engine.name=slurm"])
    (tmp_path / "frozen.yaml").write_text(array.freeze(config))
    pool = dataclasses.replace(config.engine, name="pool")
    assert load(tmp_path / "frozen.yaml", {}, []) == dataclasses.replace(config, engine=pool)


def test_shares_are_disjoint_and_together_all(config, serial):
    pipeline.run_tables(config("unit=1"), "split", serial)
    graph = pipeline.survey(config("unit=1"))
    shares = [{job.unit for job in array._units(graph, ["motion"], part, 3)} for part in range(3)]
    assert all(shares)
    assert set.union(*shares) == {unit.name for unit in graph.units}
    assert sum(map(len, shares)) == len(graph.units)


def test_a_stage_that_sees_all_rows_has_one_task(config):
    graph = pipeline.survey(config("unit=1", "engine.slurm.tasks=5"))
    found = dict(array.steps(config("unit=1", "engine.slurm.tasks=5"), graph, graph.whole(), True))
    assert found["content",] == 1
    assert found["ingest",] == 5
    assert found["shards",] == 5
    assert ("visual", "motion", "embed") in found


def test_a_step_before_its_time_or_of_strangers_is_refused(config):
    graph = pipeline.survey(config())
    with pytest.raises(UserError, match="motion stands on ingest, which 3 units lack"):
        array._units(graph, ["motion"], 0, 1)
    with pytest.raises(UserError, match="no stage 'moton'"):
        array._units(graph, ["moton"], 0, 1)
    with pytest.raises(UserError, match="share no decode"):
        array._units(graph, ["ingest", "motion"], 0, 1)
    for text in ("3/3", "x", "1/2/3", "-1/2", ""):
        with pytest.raises(UserError, match="expected K/N"):
            array.read_share(text)


def test_tasks_work_side_by_side_and_keep_other_runs_out(tmp_path):
    with joined(tmp_path), joined(tmp_path):
        with pytest.raises(UserError, match="tasks of an array job"), locked(tmp_path):
            pass
        with pytest.raises(UserError, match="tasks of an array job"), locked(tmp_path, alone=False):
            pass
    with locked(tmp_path, alone=False), joined(tmp_path):
        pass
    with locked(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on"), joined(tmp_path):
        pass


def test_without_submission_scripts_are_written_and_nothing_is_run(config, tmp_path, capsys):
    out = tmp_path / "out"
    assert not array.run(config("engine.name=slurm", "engine.slurm.submit=false"), "motion")
    assert [path.name for path in sorted((out / "slurm" / "scripts").iterdir())] == [
        "1-ingest.sh", "2-split.sh", "3-motion.sh", "4-end.sh",
    ]  # fmt: skip
    assert "sh " + str(out / "slurm" / "submit.sh") in capsys.readouterr().err
    assert not list(out.rglob("*.parquet"))


@pytest.mark.slow
def test_a_run_as_array_jobs_is_a_run_of_the_pool(config, serial, tmp_path, scheduler):  # noqa: F811, the imported fixture
    whole = config("unit=2", out=tmp_path / "whole")
    pipeline.run_all(whole, serial)
    out = tmp_path / "array"
    more = ["--set", "engine.slurm.tasks=2", "--set", "visual.text_frames=1", "--set", "embed.size=32"]
    process = run(command(config, out, "--engine", "slurm", "--no-mlflow", *more))
    said = finish(process, 280)
    assert process.returncode == 0, said
    assert tables(out / "work") == tables(whole.work)
    tars = {path.name: path.read_bytes() for path in (whole.work / "shards").glob("*.tar")}
    assert tars
    assert {path.name: path.read_bytes() for path in (out / "work" / "shards").glob("*.tar")} == tars
    assert (out / "report" / "curation.html").is_file()
    process = run(command(config, out, "--engine", "slurm", "--no-mlflow", *more))
    assert "sbatch" not in finish(process)
    assert process.returncode == 0
