"""A stopped fit leaves with a code that a scheduler understands, and Slurm is asked to start it again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lightning.fabric.plugins.environments import SLURMEnvironment
from torch._inductor.exc import InductorError

from console import UserError
from lightning_modules.ending import PARENT, be_the_parent, is_started_by_us, no_other_requeue
from lightning_modules.run_folder import RunFolder
from lightning_modules.stage_cli import run_stage
from tests.lightning_modules.stand_in import Disturbance, StandIn


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A real program of that name first on the path: it writes down what it was asked."""
    folder, asked = tmp_path / "bin", tmp_path / "asked"
    folder.mkdir()
    (folder / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit ${{FAKE_CODE:-0}}\n')
    (folder / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    return asked


def stop(config, signum, *options):
    """A fit that a signal ends in its third step; the code that it leaves with."""
    StandIn.disturbance = Disturbance(2, lambda: os.kill(os.getpid(), signum))
    with pytest.raises(SystemExit) as ended:
        run_stage(["fit", "-c", str(config), *options])
    return ended.value.code


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_the_job_is_requeued_after_its_checkpoint(config, scontrol, signum, code, capsys):
    assert stop(config, signum, "--requeue", "true") == code
    assert scontrol.read_text() == "requeue 4711\n"
    assert RunFolder("runs/stand_in").newest() == RunFolder("runs/stand_in").checkpoint(3)
    told = capsys.readouterr().err
    assert f"Stopped by {signal.Signals(signum).name} after step 3" in told
    assert "Slurm will start job 4711 again." in told


def test_a_task_of_an_array_is_requeued_by_itself(config, scontrol, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
    stop(config, signal.SIGUSR1, "--requeue", "true")
    assert scontrol.read_text() == "requeue 4700_11\n"


def test_nothing_is_requeued_unasked(config, scontrol):
    assert stop(config, signal.SIGUSR1) == 138
    assert not scontrol.exists()


def test_a_refusal_of_slurm_is_told_and_the_code_stays(config, scontrol, monkeypatch, capsys):
    monkeypatch.setenv("FAKE_CODE", "1")
    assert stop(config, signal.SIGTERM, "--requeue", "true") == 143
    assert "Slurm did not requeue job 4711: exit code 1." in capsys.readouterr().err


def test_outside_of_slurm_the_option_says_that_it_does_nothing(config, scontrol, monkeypatch, capsys):
    monkeypatch.delenv("SLURM_JOB_ID")
    assert stop(config, signal.SIGTERM, "--requeue", "true") == 143
    assert "--requeue has no effect" in capsys.readouterr().err
    assert not scontrol.exists()


def test_a_process_knows_the_one_that_started_it(monkeypatch):
    monkeypatch.delenv(PARENT, raising=False)
    be_the_parent()
    assert os.environ[PARENT] == str(os.getpid())
    assert not is_started_by_us()
    monkeypatch.setenv(PARENT, str(os.getppid()))
    be_the_parent()
    assert is_started_by_us()


def test_slurm_s_environment_is_ours_unless_another_was_given(monkeypatch):
    for name in list(os.environ):
        if name.startswith("SLURM"):
            monkeypatch.delenv(name)
    assert no_other_requeue(["mine"]) == ["mine"]
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    with pytest.raises(UserError, match="--ntasks-per-node=2"):
        no_other_requeue([])
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    mine, environment = no_other_requeue(["mine"])
    assert mine == "mine"
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue
    given = [SLURMEnvironment()]
    assert no_other_requeue(given) is given


def test_a_fit_whose_blocks_do_not_compile_ends_with_what_to_do(config):
    def fail():
        raise InductorError(RuntimeError("No g++ here\nand more"), None)

    StandIn.disturbance = Disturbance(2, fail)
    with pytest.raises(UserError, match=r"cannot compile the blocks: No g\+\+ here\. On processors"):
        run_stage(["fit", "-c", str(config)])


COMPILED = """
import torch
from lightning_modules.ending import compiler_fault

assert compiler_fault(RuntimeError("another")) is None
try:
    torch.compile(torch.sin)(torch.ones(8))
except RuntimeError as error:
    print(compiler_fault(error))
"""


def test_blocks_that_no_compiler_can_compile_say_what_is_missing(tmp_path):
    """On a path without a compiler and with nothing compiled before, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "CXX"}
    environment |= {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "compiled")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "No working C++ compiler found" in done.stdout
    assert "install g++" in done.stdout
    assert "execution.compile to false" in done.stdout
