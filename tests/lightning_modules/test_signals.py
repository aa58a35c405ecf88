"""The `lightning` process itself: its exit codes and messages when it is stopped, and what is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_modules.run_folder import RunFolder
from tests.lightning_modules.conftest import stage_config, write_config

ROOT = Path(__file__).parents[2]
TRACEBACK = "Traceback (most recent call last)"


def start(config, *options):
    command = [sys.executable, "-m", "lightning_modules.cli", "fit", "-c", str(config), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for_steps(folder, process, steps):
    """Until metrics.csv tells of `steps` steps."""
    end = time.monotonic() + 150
    while time.monotonic() < end and process.poll() is None:
        if folder.metrics.is_file() and re.search(rf"^{steps},", folder.metrics.read_text(), re.MULTILINE):
            return
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the fit did not come to step {steps}: {process.communicate()[1]}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGKILL, -9)],
)
def test_a_signal_ends_the_process_with_its_code_and_the_same_command_goes_on(clips, tmp_path, signum, code):
    content = {**stage_config(clips), "run_dir": str(tmp_path / "run")}
    content["trainer"] = {"max_steps": 100000, "val_check_interval": 50, "log_every_n_steps": 1}
    config = write_config(tmp_path / "stage.yaml", content)
    folder = RunFolder(tmp_path / "run")
    process = start(config)
    wait_for_steps(folder, process, 20)
    process.send_signal(signum)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert TRACEBACK not in told
    saved = int(folder.newest().name.removeprefix("step-"))
    assert saved >= (20 if code > 0 else 10)  # a kill takes what was on its way to the disk with it
    if code == 130:
        assert told.rstrip().endswith("the same command again goes on from there.")
    again = start(config, "--trainer.max_steps", str(saved + 3))
    told = again.communicate(timeout=150)[1]
    assert again.returncode == 0, told
    assert f"Going on from {folder.checkpoint(saved)}" in told
    assert f"Finished after step {saved + 3}" in told


@pytest.mark.slow
def test_bad_input_exits_with_2_and_one_message(tmp_path):
    config = write_config(tmp_path / "bad.yaml", {"run_dir": "x", "trainer": {"max_stepz": 1}})
    process = start(config)
    told = process.communicate(timeout=150)[1]
    assert process.returncode == 2
    assert told.startswith("error: ")
    assert "Did you mean 'max_steps'?" in told
    assert told.count("\n") == 1
