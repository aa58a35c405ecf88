"""Dormand-Prince with a step size for each sample."""

import math

import pytest
import torch

from flow.adaptive import DOPRI5, ERROR, Tolerance, dopri5
from flow.schedule import linear
from flow.solvers import solve


def wave(rate):
    """dX/dt = rate cos(rate t), from 0 to sin(rate): what a sample needs depends on its rate."""
    return lambda x, t: (rate * torch.cos(rate * t)).reshape(-1, 1).expand_as(x)


def test_the_tableau_is_consistent():
    for node, row in zip(DOPRI5.nodes, DOPRI5.rows, strict=True):
        assert sum(row) == pytest.approx(node, abs=1e-14)
    assert sum(DOPRI5.weights) == pytest.approx(1, abs=1e-14)
    assert sum(ERROR) == pytest.approx(0, abs=1e-14)


def test_it_converges_at_fifth_order():
    start = torch.ones(1, 1, dtype=torch.float64)

    def error(steps):
        times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        return abs(solve(lambda x, t: x, start, times, DOPRI5).item() - math.e)

    assert math.log2(error(16) / error(32)) == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
def test_the_error_at_the_end_follows_the_tolerance(tolerance):
    start = torch.ones(2, 3, dtype=torch.float64)
    end = dopri5(lambda x, t: x, start, Tolerance(relative=tolerance, absolute=tolerance))
    assert (end - math.e).abs().max() < 10 * tolerance


def test_a_sample_ends_at_the_same_place_whatever_it_is_sampled_beside():
    rates = torch.tensor([1.0, 40.0], dtype=torch.float64)
    start = torch.zeros(2, 4, dtype=torch.float64)
    both = dopri5(wave(rates), start)
    alone = torch.cat([dopri5(wave(rates[i : i + 1]), start[:1]) for i in range(2)])
    assert torch.equal(both, alone)
    torch.testing.assert_close(both[:, 0], torch.sin(rates), atol=1e-2, rtol=0)


def test_a_straight_path_takes_the_fewest_steps():
    attempts = []
    dopri5(
        lambda x, t: torch.ones_like(x), torch.zeros(1, 2), on_step=lambda done, point: attempts.append(done)
    )
    assert len(attempts) <= 4  # 0.02, 0.1, 0.5, the rest


def test_every_evaluation_lies_between_noise_and_data():
    seen = []

    def velocity(x, t):
        seen.append(t.clone())
        return wave(torch.full((2,), 9.0))(x, t)

    dopri5(velocity, torch.zeros(2, 2))
    times = torch.stack(seen)
    assert times.min() == 0
    assert times.max() <= 1 + 1e-6


def test_a_velocity_that_is_not_finite_is_an_error_that_says_where():
    with pytest.raises(ValueError, match=r"reached t = 0 in 30 attempts\. Raise the tolerance"):
        dopri5(lambda x, t: x * torch.nan, torch.ones(1, 2), Tolerance(attempts=30))


@pytest.mark.parametrize("wrong", [{"relative": 0.0}, {"first": 2.0}, {"attempts": 0}])
def test_impossible_tolerances_are_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        Tolerance(**wrong)


def test_it_agrees_with_many_small_steps_of_euler():
    start = torch.randn(2, 5, dtype=torch.float64)
    fine = solve(lambda x, t: torch.sin(3 * x), start, linear(4000))
    torch.testing.assert_close(dopri5(lambda x, t: torch.sin(3 * x), start), fine, atol=5e-3, rtol=0)
