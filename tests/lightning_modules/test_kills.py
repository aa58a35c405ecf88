"""Kill -9 at any moment: what was sealed is whole, the newest of it is found, and no loss is another one."""

import json
import multiprocessing
import os
import random
import signal
import time

import pytest

from lightning_modules.run_folder import RunFolder
from lightning_modules.sealed import verify
from lightning_modules.team import Team
from tests.lightning_modules.conftest import stage_config, write_config

KILLS, STEPS = 20, 200


def train(config: str) -> None:
    """The command, in a process that has imported torch already."""
    import warnings

    from lightning_modules.stage_cli import run_stage

    warnings.simplefilter("ignore")
    os.environ["OMP_NUM_THREADS"] = "1"
    run_stage(["fit", "-c", config])
    os._exit(0)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lightning_modules.stage_cli", "tests.lightning_modules.troubled"])
    return context


def run(path, clips):
    """A config that saves at every step, in the background, and writes down all losses."""
    path.mkdir()
    (path / "record").mkdir()
    content = {**stage_config(clips), "run_dir": str(path / "run"), "checkpoint": {"every": 1, "keep": 2}}
    content["model"] = {
        "class_path": "tests.lightning_modules.troubled.Troubled",
        "init_args": {"record": str(path / "record"), "pause": 0.02},
    }
    content["data"]["init_args"]["batch_size"] = 1
    content["trainer"] = {"max_steps": STEPS, "val_check_interval": 40, "log_every_n_steps": 10}
    return write_config(path / "stage.yaml", content)


def losses(path):
    """By step, every loss and batch that was seen there; a line that a kill has cut counts for nothing."""
    found = {}
    for line in (path / "record/rank-0.jsonl").read_text().splitlines():
        if line.endswith("}"):
            seen = json.loads(line)
            found.setdefault(seen["step"], []).append((tuple(seen["clips"]), seen["loss"]))
    return found


def lines(record):
    return record.read_text().count("\n") if record.is_file() else 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_at_random_moments_change_nothing(clips, tmp_path, processes):
    whole = processes.Process(target=train, args=(str(run(tmp_path / "whole", clips)),))
    whole.start()
    whole.join()
    assert whole.exitcode == 0
    config, folder = run(tmp_path / "killed", clips), RunFolder(tmp_path / "killed/run")
    record, chance, found = tmp_path / "killed/record/rank-0.jsonl", random.Random(1), []
    for _ in range(KILLS):
        until = lines(record) + chance.randint(1, 14)
        process = processes.Process(target=train, args=(str(config),))
        process.start()
        while process.is_alive() and lines(record) < until:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, (
            "the run came to its end before it was killed often enough"
        )
        found.append(folder.newest() is not None)
        for path in folder.whole_checkpoints():
            verify(path, Team())
    assert sum(found) > KILLS // 2
    last = processes.Process(target=train, args=(str(config),))
    last.start()
    last.join()
    assert last.exitcode == 0
    expected, seen = losses(tmp_path / "whole"), losses(tmp_path / "killed")
    assert sorted(expected) == sorted(seen) == list(range(STEPS))
    for step, (only,) in expected.items():
        assert set(seen[step]) == {only}, step
