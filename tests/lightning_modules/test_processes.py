"""The real command on two processes with gloo: resume, signals, hangs, kills, other numbers of processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datamodules.clips import ClipData
from datamodules.plan import epoch_batches
from datamodules.quarantine import FILE
from lightning_modules.run_folder import RunFolder
from tests.lightning_modules.conftest import stage_config, write_config

MESH = "lightning_modules.strategy.MeshStrategy"
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(1800)  # each command takes a minute where two cores are shared


class Run:
    """A run's folder, its config, and the commands that are given to it."""

    def __init__(self, path, clips, **model):
        self.record = path / "record"
        self.record.mkdir()
        self.folder = RunFolder(path / "run")
        content = {**stage_config(clips), "run_dir": str(self.folder.path)}
        content["model"] = {
            "class_path": "tests.lightning_modules.troubled.Troubled",
            "init_args": {"record": str(self.record), **model},
        }
        content["data"]["init_args"]["batch_size"] = 1
        content["checkpoint"] = {"every": 2, "keep": 3}
        content["trainer"]["limit_val_batches"] = 0
        self.config = write_config(path / "stage.yaml", content)

    def start(self, *options, devices=1, strategy="ddp", **environment):
        command = [sys.executable, "-m", "lightning_modules.cli", "fit", "-c", str(self.config), *options]
        command += ["--trainer.devices", str(devices), "--trainer.accelerator", "cpu"]
        command += ["--trainer.strategy", strategy if devices > 1 else "auto"]
        if devices > 1 and strategy == MESH:
            command += ["--trainer.strategy.mesh.dp_shard", str(devices)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_PORT"):
            environment.pop(name, None)
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    def fit(self, *options, **how):
        process = self.start(*options, **how)
        told = process.communicate(timeout=600)[1]
        return process.returncode, told

    def lines(self, rank):
        file = self.record / f"rank-{rank}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []

    def steps(self, ranks):
        """By step, the clips and losses of all ranks, as they were trained on last."""
        return {line["step"]: [dict(other) for rank in range(ranks) for other in self.lines(rank)
                               if other["step"] == line["step"]][-ranks:]
                for line in self.lines(0)}  # fmt: skip

    def forget(self):
        for file in self.record.iterdir():
            file.unlink()

    def wait_for(self, step, process):
        end = time.monotonic() + 600
        while time.monotonic() < end and process.poll() is None:
            if any(line["step"] >= step for line in self.lines(0)):
                return
            time.sleep(0.02)
        process.kill()
        pytest.fail(f"the fit did not come to step {step}: {process.communicate()[1]}")


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory):
    """Two processes, undisturbed: 12 steps; an epoch has 7."""
    run = Run(tmp_path_factory.mktemp("whole"), clips)
    code, told = run.fit("--trainer.max_steps", "12", devices=2)
    assert code == 0, told
    return run


def clips_of(lines):
    return {clip for line in lines for clip in line["clips"]}


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_two_processes_go_on_bit_for_bit_after_a_signal_to_the_first(clips, tmp_path, whole, signum):
    run = Run(tmp_path, clips, pause=0.2)
    process = run.start("--trainer.max_steps", "12", devices=2)
    run.wait_for(5, process)
    process.send_signal(signum)
    told = process.communicate(timeout=600)[1]
    assert process.returncode == (-9 if signum == signal.SIGKILL else 128 + signum), told
    newest = run.folder.newest()
    saved = int(newest.name.removeprefix("step-"))
    assert saved >= (4 if signum == signal.SIGKILL else 6)
    run.forget()
    time.sleep(2 if signum == signal.SIGKILL else 0)  # for the orphan to end
    run.forget()
    code, told = run.fit("--trainer.max_steps", "12", devices=2)
    assert code == 0, told
    assert f"Going on from {newest}" in told
    again, before = run.steps(2), whole.steps(2)
    assert sorted(again) == list(range(saved, 12))
    assert again == {step: before[step] for step in range(saved, 12)}


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 2)])
def test_another_number_of_processes_trains_on_the_same_samples(clips, tmp_path, whole, first, second):
    """With twice the accumulation on half the processes every step has the samples of the undisturbed run."""
    run = Run(tmp_path, clips)
    accumulate = {1: ("--trainer.accumulate_grad_batches", "2"), 2: ()}
    code, told = run.fit("--trainer.max_steps", "4", *accumulate[first], devices=first)
    assert code == 0, told
    code, told = run.fit("--trainer.max_steps", "12", *accumulate[second], devices=second)
    assert code == 0, told
    expected = {step: clips_of(lines) for step, lines in whole.steps(2).items()}
    found = {}
    for rank in range(2):
        for line in run.lines(rank):
            found.setdefault(line["step"], set()).update(line["clips"])
    assert found == expected


@pytest.mark.slow
def test_a_process_that_stands_still_is_named_with_the_collective(clips, tmp_path):
    run = Run(tmp_path, clips, hang_at=3)
    began = time.monotonic()
    code, told = run.fit("--trainer.max_steps", "12", "--watchdog.seconds", "6", devices=2)
    assert code == 75, told
    assert time.monotonic() - began < 200
    assert "Held up by rank: 1." in told
    assert "rank 0: step 4, backward pass, waits in" in told
    assert "rank 1: step 4, training step, in no collective" in told
    assert "troubled.py" in told


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_within_seconds(clips, tmp_path):
    run = Run(tmp_path, clips, pause=0.2)
    process = run.start("--trainer.max_steps", "200", devices=2)
    run.wait_for(3, process)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    began = time.monotonic()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    told = process.communicate(timeout=60)[1]
    assert time.monotonic() - began < 30
    assert process.returncode not in (0, None), told
    assert run.folder.newest() is not None


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", MESH])
def test_a_bad_sample_of_one_process_is_left_out_and_that_of_the_other_comes_again(clips, tmp_path, strategy):
    data = ClipData(str(clips), batch_size=1, memory=True)
    data.setup("fit")
    shards, source = data._sources["train"]
    plan = [source._items[int(batch[0])].clip_id for batch in epoch_batches(shards, data._order, 0)]
    good, bad = plan[8], plan[9]  # of the fifth step of two processes, after the second checkpoint
    run = Run(tmp_path, clips, bad_clip=bad)
    options = ("--trainer.max_steps", "12", "--non_finite.in_a_row", "0")
    code, told = run.fit(*options, devices=2, strategy=strategy)
    assert code == 0, told
    assert "Going back to the last checkpoint, without those clips." in told
    (samples,) = json.loads((run.folder.path / FILE).read_text()).values()
    assert [facts["clip_id"] for facts in samples.values()] == [bad]
    again = [line["clips"] for rank in (0, 1) for line in run.lines(rank) if line["step"] == 4]
    assert sorted(map(tuple, again)) == sorted([(good,), (good,), (bad,), (plan[10],)])
    after = {
        clip for rank in (0, 1) for line in run.lines(rank) if line["step"] > 4 for clip in line["clips"]
    }
    assert bad not in after
