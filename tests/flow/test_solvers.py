"""Solving the flow and guiding it."""

import math

import pytest
import torch

from flow.guidance import guide
from flow.path import SIGMA_MIN
from flow.schedule import linear, linear_quadratic
from flow.solvers import EULER, HEUN, METHODS, MIDPOINT, solve


@pytest.mark.parametrize("method", METHODS)
def test_the_true_velocity_of_one_point_leads_to_it_in_any_number_of_steps(method):
    data, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    for times in (linear(1), linear(7), linear_quadratic(50, 250)):
        end = solve(lambda x, t: data - (1 - SIGMA_MIN) * noise, noise, times, METHODS[method])
        torch.testing.assert_close(end, data + SIGMA_MIN * noise, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("method", "order"), [(EULER, 1), (MIDPOINT, 2), (HEUN, 2)])
def test_each_method_converges_to_the_exponential_at_its_order(method, order):
    start = torch.ones(1, 1, dtype=torch.float64)

    def error(steps):
        times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        return abs(solve(lambda x, t: x, start, times, method).item() - torch.e)

    for steps in (100, 200):
        assert math.log2(error(steps) / error(2 * steps)) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_depends_on_time_as_the_integral_does(method):
    """Of dX/dt = 2 t: midpoint and Heun integrate a line exactly, Euler sums its left ends."""
    end = solve(lambda x, t: (2 * t)[:, None], torch.zeros(1, 1), linear(4), METHODS[method]).item()
    assert end == pytest.approx(0.75 if method == "euler" else 1.0, abs=1e-6)


def test_euler_evaluates_at_the_start_of_each_step_and_reports_each():
    times, seen, reported = linear_quadratic(6, 20), [], []

    def velocity(x, t):
        seen.append(t[0].item())
        return torch.zeros_like(x)

    solve(velocity, torch.zeros(3, 2), times, on_step=lambda done, point: reported.append(done))
    assert seen == times[:-1].tolist()
    assert reported == [1, 2, 3, 4, 5, 6]


def conditioned(x, t):
    """A velocity of 3 under the condition, 1 under the null: the two halves of the batch."""
    return torch.cat([torch.full_like(x[: len(x) // 2], 3.0), torch.full_like(x[len(x) // 2 :], 1.0)])


def test_guidance_of_scale_one_is_conditional_and_of_zero_unconditional():
    x, t = torch.zeros(2, 4), torch.zeros(2)
    for scale, value in ((0.0, 1.0), (1.0, 3.0), (7.5, 16.0)):
        torch.testing.assert_close(guide(conditioned, scale)(x, t), torch.full((2, 4), value))


def test_guidance_hands_both_halves_the_same_point_and_time():
    x, t = torch.randn(3, 4), torch.rand(3)
    seen = {}

    def velocity(point, time):
        seen.update(point=point, time=time)
        return point

    guide(velocity, 5.0)(x, t)
    torch.testing.assert_close(seen["point"], torch.cat([x, x]))
    torch.testing.assert_close(seen["time"], torch.cat([t, t]))


def test_guidance_is_off_outside_its_interval_and_costs_half_there():
    widths = []

    def velocity(point, time):
        widths.append(len(point))
        return conditioned(point, time) if len(point) == 4 else torch.full_like(point, 3.0)

    guided = guide(velocity, 7.5, interval=(0.2, 0.8))
    x = torch.zeros(2, 4)
    for now, value, width in ((0.1, 3.0, 2), (0.2, 16.0, 4), (0.8, 16.0, 4), (0.9, 3.0, 2)):
        torch.testing.assert_close(guided(x, torch.full((2,), now)), torch.full((2, 4), value))
        assert widths[-1] == width


def test_samples_of_a_batch_at_different_times_are_guided_each_by_its_own():
    mixed = guide(conditioned, 7.5, interval=(0.5, 1.0))(torch.zeros(2, 1), torch.tensor([0.1, 0.9]))
    torch.testing.assert_close(mixed, torch.tensor([[3.0], [16.0]]))
