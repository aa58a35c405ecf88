"""The line of progress says how far the whole fit is and when it will end."""

from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import Timer

from lightning_modules.callbacks.progress import TrainingProgress


def trainer(step, steps, *callbacks):
    return SimpleNamespace(
        global_step=step,
        max_steps=steps if steps != float("inf") else -1,
        estimated_stepping_batches=steps,
        callbacks=list(callbacks),
        progress_bar_metrics={"train/loss": 0.25, "val/psnr": 20.0},
        loggers=[],
    )


@pytest.fixture
def progress():
    made = TrainingProgress()
    made._seconds = 0.5
    return made


def timer(elapsed, remaining):
    made = Timer(duration={"seconds": elapsed + remaining})
    made.time_elapsed = lambda *_: elapsed
    made.time_remaining = lambda *_: remaining
    return made


def test_steps_left_become_time_left(progress):
    line = progress.line(trainer(40, 100), None)
    assert line == "step 40/100  train/loss 0.25  2.00 it/s  about 30 s left"


def test_the_limit_that_comes_first_decides(progress):
    assert "about 20 s left" in progress.line(trainer(40, 100, timer(80, 20)), None)
    assert "about 30 s left" in progress.line(trainer(40, 100, timer(10, 90)), None)


def test_a_fit_without_an_end_names_none(progress):
    line = progress.line(trainer(7, float("inf")), None)
    assert line.startswith("step 7  ")
    assert "left" not in line


def test_long_times_are_told_in_minutes(progress):
    assert "about 8 min left" in progress.line(trainer(0, 1000), None)
