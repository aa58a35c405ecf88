"""What keeps the TAE's latents in order."""

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from models.tae import Posterior
from models.tae.losses import kl_divergence, outlier_penalty


def test_outlier_penalty_is_zero_on_white_noise():
    assert outlier_penalty(torch.randn(4, 8, 16, 32, 32)) == 0


def test_outlier_penalty_fires_on_one_hot_position():
    latent = torch.randn(1, 1, 16, 32, 32)
    latent[0, 0, :, 5, 7] += 20
    assert outlier_penalty(latent) > 0


def test_outlier_penalty_is_the_equation():
    latent = torch.randn(2, 3, 4, 5, 6)
    latent[1, 2, :, 0, 0] = 30
    total = 0.0
    for frame in latent.flatten(0, 1):
        mean, std = frame.mean(dim=(1, 2)), frame.std(dim=(1, 2), correction=0)
        for row in range(5):
            for column in range(6):
                total += max((frame[:, row, column] - mean).norm() - 3 * std.norm(), torch.tensor(0.0)) / 30
    assert outlier_penalty(latent).item() == pytest.approx(float(total) / 6, rel=1e-4)


def test_outlier_penalty_treats_each_frame_alone_and_ignores_offsets_of_channels():
    latent = torch.randn(1, 2, 4, 8, 8)
    latent[0, 0, :, 3, 3] += 15
    moved = latent + torch.arange(4.0)[:, None, None] * 100
    torch.testing.assert_close(outlier_penalty(moved), outlier_penalty(latent), atol=1e-4, rtol=1e-3)
    alone = outlier_penalty(latent[:, :1])
    torch.testing.assert_close(outlier_penalty(latent), alone / 2, atol=1e-5, rtol=1e-4)


def test_outlier_penalty_pulls_the_hot_position_back():
    latent = torch.randn(1, 1, 4, 8, 8)
    latent[0, 0, :, 2, 2] = 25
    latent.requires_grad_()
    outlier_penalty(latent).backward()
    assert (latent.grad[0, 0, :, 2, 2] > 0).all()


def test_kl_is_that_of_the_distributions():
    posterior = Posterior(torch.randn(3, 2, 4, 5, 5), torch.randn(3, 2, 4, 5, 5))
    truth = torch_kl(Normal(posterior.mean, (0.5 * posterior.logvar).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(posterior), truth.flatten(1).sum(1).mean())


def test_a_posterior_is_sampled_with_its_own_mean_and_deviation():
    posterior = Posterior(torch.full((1, 1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1, 1), 1.0))
    assert posterior.sample(torch.zeros(1, 1, 1, 1, 1)).item() == 2
    assert posterior.sample(torch.ones(1, 1, 1, 1, 1)).item() == pytest.approx(2 + torch.e**0.5)
