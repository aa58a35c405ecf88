"""Solving the flow and guiding it."""

from itertools import pairwise

import torch

from flow.guidance import guide
from flow.path import SIGMA_MIN
from flow.schedule import linear, linear_quadratic
from flow.solvers import euler


def test_euler_with_the_true_velocity_of_one_point_lands_on_it_in_any_number_of_steps():
    data, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    for times in (linear(1), linear(7), linear_quadratic(50, 250)):
        end = euler(lambda x, t: data - (1 - SIGMA_MIN) * noise, noise, times)
        torch.testing.assert_close(end, data + SIGMA_MIN * noise, atol=1e-5, rtol=1e-5)


def test_euler_converges_to_the_exponential_at_first_order():
    start = torch.ones(1, 1, dtype=torch.float64)
    errors = [abs(euler(lambda x, t: x, start, linear(steps)).item() - torch.e) for steps in (100, 200, 400)]
    for coarse, fine in pairwise(errors):
        assert 1.9 < coarse / fine < 2.1


def test_euler_evaluates_at_the_start_of_each_step_and_reports_each():
    times, seen, reported = linear_quadratic(6, 20), [], []

    def velocity(x, t):
        seen.append(t[0].item())
        return torch.zeros_like(x)

    euler(velocity, torch.zeros(3, 2), times, on_step=lambda done, point: reported.append(done))
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
