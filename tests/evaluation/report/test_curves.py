"""metrics.csv to curves."""

import pytest

from evaluation.report.curves import Curve, read_curves, smooth, thin
from evaluation.report.training import working_seconds


def test_each_column_is_a_curve_of_the_rows_that_have_it(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/loss,val/loss\n0,1.5,\n10,,2\n20,0.5,nan\n30,inf,1\n")
    curves = read_curves(path)
    assert curves["train/loss"] == Curve("train/loss", [0, 20], [1.5, 0.5])
    assert curves["val/loss"] == Curve("val/loss", [10, 30], [2, 1])
    assert set(curves) == {"train/loss", "val/loss"}


def test_a_line_cut_by_a_kill_does_no_harm(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n0,1\n10,0.5\n2")
    assert read_curves(path)["loss"].values == [1, 0.5]


def test_a_constant_curve_is_its_own_mean_from_the_first_point():
    curve = Curve("a", list(range(50)), [3.0] * 50)
    assert smooth(curve, 10).values == pytest.approx([3.0] * 50)


def test_smoothing_keeps_the_level_and_lowers_the_ripple():
    curve = Curve("a", list(range(400)), [1 + (-1) ** k for k in range(400)])
    tail = smooth(curve, 20).values[100:]
    assert min(tail) > 0.9
    assert max(tail) < 1.1


def test_thinning_keeps_the_ends():
    curve = Curve("a", list(range(1000)), [float(k) for k in range(1000)])
    short = thin(curve, 100)
    assert len(short.steps) == 100
    assert (short.steps[0], short.steps[-1]) == (0, 999)
    assert short.steps == short.values


def test_a_pause_of_a_stopped_run_is_no_training_time():
    assert working_seconds([0, 10, 20, 20 + 8 * 3600, 30 + 8 * 3600]) == 30
