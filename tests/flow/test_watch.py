"""Previews: the data that a velocity points at."""

import pytest
import torch

from flow.path import PATHS, data_at_end, interpolate
from flow.schedule import linear_quadratic
from flow.solvers import METHODS, solve
from flow.watch import Watched


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_from_every_point_of_a_path_its_velocity_tells_the_data(path):
    data, noise = torch.randn(5, 3, 4, dtype=torch.float64), torch.randn(5, 3, 4, dtype=torch.float64)
    time = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    point, velocity = interpolate(data, noise, time, path)
    torch.testing.assert_close(data_at_end(point, velocity, time, path), data)


@pytest.mark.parametrize("method", METHODS)
def test_after_the_last_step_of_a_straight_path_the_estimate_is_the_result(method):
    data, noise = torch.randn(2, 3), torch.randn(2, 3)
    watched, seen = Watched(lambda x, t: data - noise), []
    end = solve(
        watched, noise, linear_quadratic(6, 9), METHODS[method], lambda done, _: seen.append(watched.data())
    )
    assert len(seen) == 6
    for estimate in seen:
        torch.testing.assert_close(estimate, end, atol=1e-5, rtol=0)


def test_watching_changes_nothing_and_evaluates_nothing():
    calls = []

    def velocity(x, t):
        calls.append(t)
        return torch.sin(3 * x)

    watched, noise = Watched(velocity), torch.randn(2, 3)
    end = solve(watched, noise, linear_quadratic(6, 9), on_step=lambda done, _: watched.data())
    assert len(calls) == 6
    assert torch.equal(end, solve(velocity, noise, linear_quadratic(6, 9)))


def test_before_the_first_step_there_is_no_estimate():
    with pytest.raises(ValueError, match="not evaluated yet"):
        Watched(lambda x, t: x).data()
