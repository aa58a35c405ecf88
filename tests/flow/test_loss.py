"""The flow-matching objective."""

import torch

from flow.loss import flow_matching_loss
from flow.path import SIGMA_MIN


def test_the_true_velocity_has_no_loss_and_another_has():
    data, noise, time = torch.randn(3, 2, 4), torch.randn(3, 2, 4), torch.rand(3)
    truth = data - (1 - SIGMA_MIN) * noise
    assert flow_matching_loss(lambda x, t: truth, data, noise, time).max() == 0
    torch.testing.assert_close(
        flow_matching_loss(lambda x, t: truth + 2, data, noise, time), torch.full((3,), 4.0)
    )


def test_the_model_sees_the_point_and_time_of_each_sample():
    data, noise, time = torch.ones(2, 5), torch.zeros(2, 5), torch.tensor([0.2, 0.9])
    seen = {}

    def velocity(point, at):
        seen.update(point=point, time=at)
        return torch.zeros_like(point)

    flow_matching_loss(velocity, data, noise, time)
    torch.testing.assert_close(seen["point"], time[:, None].expand(2, 5))
    assert seen["time"] is time


def test_learning_gaussian_data_finds_the_known_optimum():
    """For data N(mu, s^2) and noise N(0, 1), E[V | X_t = x] is linear in x with a closed form at each t."""
    generator = torch.Generator().manual_seed(0)
    mu, s, time = 1.5, 0.5, 0.6
    data = mu + s * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    times = torch.full((len(data),), time, dtype=torch.float64)
    variance = (time * s) ** 2 + (1 - time) ** 2
    slope = (time * s**2 - (1 - time)) / variance

    def loss(offset, gain):
        return flow_matching_loss(
            lambda x, t: mu + offset + (slope + gain) * (x - time * mu), data, noise, times
        ).mean()

    best = loss(0, 0)
    for change in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        assert loss(*change) > best
