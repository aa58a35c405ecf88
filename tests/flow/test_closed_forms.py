"""Gaussian data: the optimal velocity, the flow that it makes and what training finds are all known."""

import math

import pytest
import torch

from flow.adaptive import Tolerance, dopri5
from flow.loss import flow_matching_loss
from flow.path import PATHS, SIGMA_MIN, STRAIGHT, Path, draw_times
from flow.schedule import linear
from flow.solvers import METHODS, solve

MEAN, WIDTH = 1.5, 0.5


def optimum(x: torch.Tensor, t: torch.Tensor, path: Path = STRAIGHT) -> torch.Tensor:
    """E[V | X_t = x] for data N(MEAN, WIDTH^2): linear in x, with the regression slope of V on X_t."""
    data, noise, data_slope, noise_slope = path.shares(t.reshape(-1, *[1] * (x.ndim - 1)))
    slope = (data * data_slope * WIDTH**2 + noise * noise_slope) / ((data * WIDTH) ** 2 + noise**2)
    return data_slope * MEAN + slope * (x - data * MEAN)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_the_optimum_carries_noise_to_the_data_by_the_known_map(method, path):
    """X_t keeps its quantile: x goes to MEAN + sqrt(WIDTH^2 + sigma_min^2) x, of any path."""
    noise = torch.randn(64, 1, dtype=torch.float64)
    end = solve(lambda x, t: optimum(x, t, path), noise, linear(400).double(), METHODS[method])
    known = MEAN + math.hypot(WIDTH, SIGMA_MIN) * noise
    torch.testing.assert_close(end, known, atol=2e-2 if method == "euler" else 1e-4, rtol=0)


def test_dopri5_finds_the_same_map():
    noise = torch.randn(64, 1, dtype=torch.float64)
    end = dopri5(optimum, noise, Tolerance(relative=1e-7, absolute=1e-7))
    torch.testing.assert_close(end, MEAN + math.hypot(WIDTH, SIGMA_MIN) * noise, atol=1e-5, rtol=0)


def test_training_finds_the_optimum_at_every_time():
    """A velocity that is linear in x, with a slope and an offset for each of ten times, by the loss."""
    torch.manual_seed(0)
    spans = 10
    weights = torch.zeros(spans, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.05)
    for step in range(600):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 600)
        data = MEAN + WIDTH * torch.randn(4096, 1, dtype=torch.float64)
        time = (torch.randint(0, spans, (4096,)) + 0.5).double() / spans

        def velocity(x, t):
            slope, offset = weights[(t * spans).long()].unbind(-1)
            return slope[:, None] * x + offset[:, None]

        loss = flow_matching_loss(velocity, data, torch.randn(4096, 1, dtype=torch.float64), time).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = torch.tensor([[-1.0], [0.0], [2.0]], dtype=torch.float64)
    for span in range(spans):
        t = torch.full((3,), (span + 0.5) / spans, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(velocity(x, t), optimum(x, t), atol=0.1, rtol=0)


def test_logit_normal_times_have_the_moments_of_their_density():
    """By quadrature of the density, also where the mean of the logit is moved."""
    z = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    for mean in (0.0, -1.0, 0.7):
        times = torch.sigmoid(z + mean)
        expected = (times * density).sum()
        deviation = ((times - expected).square() * density).sum().sqrt()
        drawn = draw_times(400_000, torch.Generator().manual_seed(0), mean=mean).double()
        assert drawn.mean().item() == pytest.approx(expected.item(), abs=1e-3)
        assert drawn.std().item() == pytest.approx(deviation.item(), abs=1e-3)
        assert 0 < drawn.min() < drawn.max() < 1
