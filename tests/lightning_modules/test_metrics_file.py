"""metrics.csv has every logged number once, also after a run was stopped and taken up again."""

import csv

import pytest

from lightning_modules.metrics_file import MetricsFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "metrics.csv"


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_rows_have_what_was_logged_together(path):
    log = MetricsFile(path)
    log.log_metrics({"train/loss": 0.5, "epoch": 0}, step=4)
    log.log_metrics({"train/loss": 0.25}, step=9)
    log.log_metrics({"val/loss": 0.75}, step=9)
    read = rows(path)
    assert [row["step"] for row in read] == ["4", "9", "9"]
    assert [row["train/loss"] for row in read] == ["0.5", "0.25", ""]
    assert [row["val/loss"] for row in read] == ["", "", "0.75"]
    assert set(read[0]) == {"step", "seconds", "train/loss", "val/loss"}


def test_a_second_process_goes_on_in_the_file(path):
    MetricsFile(path).log_metrics({"a": 1.0}, step=0)
    MetricsFile(path).log_metrics({"b": 2.0}, step=1)
    assert [(row["a"], row["b"]) for row in rows(path)] == [("1.0", ""), ("", "2.0")]


def test_rows_after_the_checkpoint_are_forgotten(path):
    log = MetricsFile(path)
    for step in range(10):
        log.log_metrics({"a": float(step)}, step=step)
    resumed = MetricsFile(path)
    resumed.forget_after(6)  # six steps were taken: rows 0 to 5
    resumed.log_metrics({"a": 60.0}, step=6)
    assert [row["a"] for row in rows(path)] == ["0.0", "1.0", "2.0", "3.0", "4.0", "5.0", "60.0"]


def test_a_line_that_a_kill_cut_is_dropped(path):
    log = MetricsFile(path)
    log.log_metrics({"a": 1.0, "b": 2.0}, step=0)
    with open(path, "a") as file:
        file.write("1,17")
    log = MetricsFile(path)
    log.forget_after(1)
    log.log_metrics({"a": 3.0, "b": 4.0}, step=1)
    assert [row["b"] for row in rows(path)] == ["2.0", "4.0"]
