"""What keeps the TAE's latents in order."""

from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from models.tae import Posterior
from models.tae.losses import (
    adaptive_weight,
    adversarial_loss,
    feature_matching,
    hinge_loss,
    kl_divergence,
    outlier_map,
    outlier_penalty,
)


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


def test_outlier_penalty_is_zero_on_constants_and_so_is_its_gradient():
    latent = torch.arange(4.0)[:, None, None].expand(2, 3, 4, 5, 5).clone().requires_grad_()
    penalty = outlier_penalty(latent)
    penalty.backward()
    assert penalty == 0
    assert (latent.grad == 0).all()
    assert (outlier_map(latent) == 0).all()


def test_outlier_penalty_of_a_clip_is_that_of_its_frames_as_images():
    latent = torch.randn(2, 3, 4, 8, 8)
    latent[:, :, :, 1, 6] *= 30
    images = latent.flatten(0, 1)[:, None]
    assert outlier_penalty(latent) > 0
    torch.testing.assert_close(outlier_penalty(latent), outlier_penalty(images))


def test_a_larger_r_forgives_more():
    latent = torch.randn(1, 1, 16, 16, 16)
    latent[0, 0, :, 3, 3] = 12
    penalties = [outlier_penalty(latent, r).item() for r in (1.0, 2.0, 3.0, 4.0)]
    assert all(later < earlier for earlier, later in pairwise(penalties))


def test_the_map_of_outliers_is_above_r_just_where_the_penalty_fires():
    latent = torch.randn(2, 3, 16, 12, 10)
    latent[1, 2, :, 5, 7] += 25
    hot = outlier_map(latent) > 3
    assert hot.shape == (2, 3, 12, 10)
    assert hot.nonzero().tolist() == [[1, 2, 5, 7]]
    cooled = latent.clone()
    cooled[1, 2, :, 5, 7] = 0
    assert outlier_penalty(latent) > 0 == outlier_penalty(cooled)


def test_the_hinge_is_zero_on_logits_that_are_sure_and_right():
    assert hinge_loss(torch.full((5,), 1.0), torch.full((5,), -1.0)) == 0
    assert hinge_loss(torch.full((5,), 9.0), torch.full((5,), -7.0)) == 0
    assert hinge_loss(torch.zeros(5), torch.zeros(5)) == 1
    assert hinge_loss(torch.full((5,), -1.0), torch.full((5,), 1.0)) == 2


def test_the_best_discriminator_under_the_hinge_tells_which_is_more_likely():
    """Where real is likelier than fake the minimum is at +1, else at -1 (Lim and Ye, 2017)."""
    logit = torch.linspace(-2, 2, 401)
    for real, best in ((0.9, 1.0), (0.2, -1.0)):
        risks = torch.stack([real * hinge_loss(x, torch.tensor(-9.0)) for x in logit])
        risks += torch.stack([(1 - real) * hinge_loss(torch.tensor(9.0), x) for x in logit])
        assert logit[risks.argmin()].item() == pytest.approx(best, abs=1e-5)


def test_the_autoencoder_wants_the_logits_that_the_discriminator_gives_to_originals():
    fake = torch.randn(6, requires_grad=True)
    adversarial_loss(fake).backward()
    assert (fake.grad < 0).all()


def test_feature_matching_is_zero_on_equal_features_and_moves_the_reconstruction_alone():
    real = [torch.randn(2, 3, requires_grad=True), torch.randn(2, 5, requires_grad=True)]
    fake = [feature.detach().clone().requires_grad_() for feature in real]
    assert feature_matching(real, fake) == 0
    further = [feature + 1 for feature in fake]
    distance = feature_matching(real, further)
    torch.testing.assert_close(distance, torch.tensor(1.0))
    distance.backward()
    assert all(feature.grad is None for feature in real)
    assert all(feature.grad is not None for feature in fake)


def pulls(scale_reconstruction, scale_adversarial):
    """The adaptive weight of two quadratic losses, and the pull on the last layer of each, weighed."""
    layer, inputs = torch.linspace(-1, 1, 12).reshape(4, 3).requires_grad_(), torch.ones(2, 3)
    out = inputs @ layer.T
    reconstruction = scale_reconstruction * (out - 2).square().mean()
    adversarial = scale_adversarial * (out + 5).square().sum()
    weight = adaptive_weight(reconstruction, adversarial, layer)
    assert not weight.requires_grad
    gradients = torch.autograd.grad(reconstruction, layer, retain_graph=True)
    gradients += torch.autograd.grad(weight * adversarial, layer)
    return weight, *(gradient.norm() for gradient in gradients)


def test_weighed_adaptively_both_losses_pull_equally_whatever_their_scales():
    for scales in ((1.0, 1.0), (1.0, 1000.0), (300.0, 1.0), (300.0, 0.1)):
        _, reconstruction, adversarial = pulls(*scales)
        torch.testing.assert_close(adversarial, reconstruction, rtol=1e-3, atol=0)


def test_the_adaptive_weight_has_a_limit_where_the_discriminator_says_nothing():
    weight, *_ = pulls(1000.0, 0.0)
    assert weight == 1e4


def test_kl_is_that_of_the_distributions():
    posterior = Posterior(torch.randn(3, 2, 4, 5, 5), torch.randn(3, 2, 4, 5, 5))
    truth = torch_kl(Normal(posterior.mean, (0.5 * posterior.logvar).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(posterior), truth.flatten(1).sum(1).mean())


def test_a_posterior_is_sampled_with_its_own_mean_and_deviation():
    posterior = Posterior(torch.full((1, 1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1, 1), 1.0))
    assert posterior.sample(torch.zeros(1, 1, 1, 1, 1)).item() == 2
    assert posterior.sample(torch.ones(1, 1, 1, 1, 1)).item() == pytest.approx(2 + torch.e**0.5)
