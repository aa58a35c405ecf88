"""All engines give the same bytes, and each goes on where another was killed or interrupted."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from console import UserError
from curation import pipeline
from curation.config import load
from curation.engines import engine_of
from curation.lock import locked
from tests.curation.test_pipeline import command, finish, run, tables, wait_for_parts


def litter() -> set[Path]:
    """Folders of Ray clusters of this machine."""
    return set(Path("/tmp").glob("curation-ray-*"))


def alive(group: int, seconds: float = 30) -> list[str]:
    """Processes of a group that do not end within that time. Two of Ray's agents, which do no work, try to
    tell of their cluster's sudden end for a minute before they go."""
    until = time.monotonic() + seconds
    while True:
        listed = subprocess.run(["ps", "-eo", "pgid,stat,args"], capture_output=True, text=True, check=True)
        rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()[1:]]
        mine = [args for number, state, args in rows if number == str(group) and not state.startswith("Z")]
        left = [args for args in mine if args not in ("ray::DashboardAgent", "ray::RuntimeEnvAgent")]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("pool", "ray"), ("ray", "pool")])
def test_one_engine_ends_what_another_began(first, second, config, serial, tmp_path):
    whole = config("unit=2", out=tmp_path / "whole")
    pipeline.run_tables(whole, "motion", serial)
    out = tmp_path / "killed"
    process = run(command(config, out, "--stage", "motion", "--engine", first))
    wait_for_parts(out / "work", 4, process)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    begun = {name for name in tables(out / "work") if ".unfinished" not in name}
    process = run(command(config, out, "--stage", "motion", "--engine", second))
    said = finish(process)
    assert process.returncode == 0, said
    assert begun
    assert begun < set(tables(out / "work"))
    assert tables(out / "work") == tables(whole.work)


@pytest.mark.slow
def test_ctrl_c_ends_ray_with_one_message_and_leaves_nothing_behind(config, tmp_path):
    before, out = litter(), tmp_path / "out"
    process = run(command(config, out, "--stage", "motion", "--engine", "ray"))
    wait_for_parts(out / "work", 2, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to all
    said = finish(process)
    assert process.returncode == 130, said
    assert "the same command again goes on" in said
    assert "Traceback" not in said
    assert alive(process.pid) == []
    assert litter() <= before
    assert not list(out.glob(".signs-*"))


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_the_next_run_clears_its_files(config, tmp_path):
    out = tmp_path / "out"
    process = run(command(config, out, "--stage", "ingest", "--engine", "ray"))
    wait_for_parts(out / "work", 1, process)
    before = litter()
    process.kill()
    finish(process)
    assert alive(process.pid) == []
    process = run(command(config, out, "--stage", "ingest", "--engine", "ray"))
    said = finish(process)
    assert process.returncode == 0, said
    assert not litter() & before
    assert {path.name for path in out.iterdir()} == {".lock", ".lock-tasks", "work"}


def test_an_engine_is_named_by_option_or_config(config, tmp_path):
    assert config().engine.name == "pool"
    assert config("engine.name=ray").engine.name == "ray"
    assert config("engine.ray.gpus.caption=0.25").engine.ray.gpus == {"caption": 0.25}
    (tmp_path / "c.yaml").write_text("engine: {name: ray, ray: {cpus: {shards: 4}}}")
    assert load(tmp_path / "c.yaml", {}, []).engine.ray.cpus == {"shards": 4.0}
    for text, says in [
        ("engine.name=rai", r"no engine 'rai' \(did you mean 'ray'\?\)"),
        ("engine.ray.gpus.captoin=0.25", r"gpus: there is no stage 'captoin' \(did you mean 'caption'\?\)"),
        ("engine.ray.gpus=0.25", "expected keys with values, got 0.25"),
        ("engine.ray.gpus.caption=lots", "gpus, caption: expected float, got 'lots'"),
    ]:
        with pytest.raises(UserError, match=says):
            config(text)


def test_an_engine_is_no_setting_of_a_stage(config):
    one, other = pipeline.survey(config()), pipeline.survey(config("engine.name=ray"))
    assert [node.fingerprint for node in one.nodes.values()] == [
        node.fingerprint for node in other.nodes.values()
    ]


@pytest.mark.parametrize("engine", ["pool", "ray"])
def test_a_run_in_a_folder_where_another_works_is_refused_before_it_starts_anything(engine, config, tmp_path):
    out = tmp_path / "out"
    with locked(out):
        process = run(command(config, out, "--engine", engine))
        said = finish(process)
    assert process.returncode == 2
    assert f"Another curation run (process {os.getpid()} on " in said
    assert {path.name for path in out.iterdir()} == {".lock", ".lock-tasks"}


def test_workers_wait_for_rows_as_long_as_the_settings_say(config, tmp_path):
    with locked(tmp_path) as mark:
        for name in ("pool", "ray"):
            with engine_of(config(f"engine.name={name}", "row_seconds=7.0", "workers=3"), mark) as engine:
                assert engine.limits.row_seconds == 7.0


@pytest.mark.parametrize("engine", ["pool"])
def test_a_disk_that_fills_while_a_unit_is_written_is_one_message_and_loses_nothing(
    engine, config, serial, tmp_path
):
    """A limit on the size of files stands for the full disk: a worker fails in the middle of a part."""
    out = tmp_path / "out"
    arguments = command(config, out, "--stage", "motion", "--engine", engine)
    limited = ["bash", "-c", 'trap "" XFSZ; ulimit -f 3; exec "$0" "$@"', *arguments]
    said = subprocess.run(limited, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
    assert said.returncode == 3, said.stderr
    assert "make room, then run the same command again" in said.stderr
    assert "Traceback" not in said.stderr
    process = run(command(config, out, "--stage", "motion", "--engine", engine))
    assert finish(process) is not None
    whole = config("unit=2", out=tmp_path / "whole")
    pipeline.run_tables(whole, "motion", serial)
    assert tables(out / "work") == tables(whole.work)
