"""The straight path from noise to data."""

import pytest
import torch

from flow.path import PATHS, SIGMA_MIN, CosinePath, draw_times, interpolate


def test_the_path_starts_at_noise_and_ends_at_data():
    data, noise = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    start, end = interpolate(data, noise, torch.zeros(2)), interpolate(data, noise, torch.ones(2))
    torch.testing.assert_close(start.point, noise)
    torch.testing.assert_close(end.point, data + SIGMA_MIN * noise)


def test_the_cosine_path_keeps_the_variance_and_its_velocity_is_the_v_of_diffusion():
    data, noise, time = torch.randn(6, 5), torch.randn(6, 5), torch.linspace(0, 1, 6)
    point, velocity = interpolate(data, noise, time, PATHS["cosine"])
    torch.testing.assert_close(point[0], noise[0])
    torch.testing.assert_close(point[-1], data[-1])
    signal, sigma = (f(time[:, None] * torch.pi / 2) for f in (torch.sin, torch.cos))
    torch.testing.assert_close(signal**2 + sigma**2, torch.ones(6, 1))
    v = sigma * data - signal * noise
    torch.testing.assert_close(velocity, v * torch.pi / 2)


def test_even_times_have_no_mean_to_move():
    with pytest.raises(ValueError, match=r"time_mean must be 0; -1 came"):
        CosinePath().draw(4, mean=-1.0)


@pytest.mark.parametrize("name", PATHS)
def test_times_in_training_have_the_quantiles_of_their_path(name):
    torch.manual_seed(0)
    of = torch.linspace(0.05, 0.95, 19)
    drawn = torch.quantile(PATHS[name].draw(100_000), of)
    torch.testing.assert_close(drawn, PATHS[name].quantile(of), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", PATHS)
def test_velocity_is_the_derivative_of_the_path(name):
    data, noise = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    time, step = torch.rand(4, dtype=torch.float64), 1e-6
    path = PATHS[name]
    ahead, behind = (interpolate(data, noise, time + sign * step, path).point for sign in (1, -1))
    torch.testing.assert_close((ahead - behind) / (2 * step), interpolate(data, noise, time, path).velocity)


def test_each_sample_stands_at_its_own_time():
    data, noise = torch.ones(2, 3), torch.zeros(2, 3)
    point = interpolate(data, noise, torch.tensor([0.25, 0.75])).point
    torch.testing.assert_close(point, torch.tensor([[0.25] * 3, [0.75] * 3]))


def test_times_are_logit_normal():
    logits = torch.logit(draw_times(200_000, torch.Generator().manual_seed(0)).double())
    assert logits.mean().item() == pytest.approx(0, abs=0.01)
    assert logits.std().item() == pytest.approx(1, abs=0.01)
    shifted = torch.logit(draw_times(200_000, torch.Generator().manual_seed(0), mean=-1.0).double())
    torch.testing.assert_close(shifted, logits - 1, atol=1e-4, rtol=0)
    assert torch.mean((logits.abs() < 1).double()).item() == pytest.approx(0.6827, abs=0.005)


@pytest.mark.parametrize("name", PATHS)
def test_the_rank_of_a_time_is_the_part_of_training_times_below_it(name):
    of = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    torch.testing.assert_close(PATHS[name].rank(PATHS[name].quantile(of)), of)
    torch.manual_seed(0)
    drawn = PATHS[name].draw(50_000, mean=-1.0 if name == "straight" else 0.0)
    ranks = PATHS[name].rank(drawn, -1.0 if name == "straight" else 0.0)
    torch.testing.assert_close(torch.quantile(ranks.double(), of), of, atol=0.01, rtol=0)
