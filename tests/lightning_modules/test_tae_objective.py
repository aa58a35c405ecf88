"""The TAE's objective: each loss reaches its own network, from its step on, on its own scale."""

import copy

import pytest
import torch
from torch.optim import AdamW

from lightning_modules.optimization import OptimizerConfig, Trained, train_together
from lightning_modules.tae import last_matrix
from lightning_modules.tae_objective import (
    AdversaryConfig,
    Pass,
    PerceptualConfig,
    TAELossConfig,
    TAEObjective,
)
from models.tae import TAE, TAEConfig
from models.tae.discriminator import DiscriminatorConfig
from models.tae.losses import adaptive_weight, adversarial_loss, feature_matching, hinge_loss

SMALL = TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4)
KINDS = ("frames", "clips")


def adversary(kind="frames", **settings) -> AdversaryConfig:
    return AdversaryConfig(
        network=DiscriminatorConfig(kind=kind, width=4, layers=2), **{"start": 0, "matching": 0.3, **settings}
    )


def networks(**loss) -> tuple[TAE, TAEObjective]:
    torch.manual_seed(0)
    tae, objective = TAE(SMALL), TAEObjective(TAELossConfig(**loss))
    objective.open(torch.device("cpu"))
    return tae, objective


def passed(tae, video) -> Pass:
    posterior = tae.encode(video)
    torch.manual_seed(1)
    latent = posterior.sample(torch.randn_like(posterior.mean))
    return Pass(video, tae.decode(latent, frames=video.shape[1]), posterior, latent)


def losses(tae, objective, video, step=0):
    return objective(passed(tae, video), last_matrix(tae.decoder), step)


def clips(frames=8, size=16):
    torch.manual_seed(2)
    return torch.rand(2, frames, 3, size, size) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_reaches_the_autoencoder_and_the_hinge_the_discriminator(kind):
    tae, objective = networks(adversary=adversary(kind))
    found, video = losses(tae, objective, clips()), clips()
    found.autoencoder.backward(retain_graph=True)
    assert all(weight.grad is None for weight in objective.parameters())
    assert last_matrix(tae.decoder).grad.abs().sum() > 0
    before = [weight.grad.clone() for weight in tae.parameters() if weight.grad is not None]
    (found.total - found.autoencoder).backward()
    after = [weight.grad for weight in tae.parameters() if weight.grad is not None]
    assert all(weight.grad.abs().sum() > 0 for weight in objective.parameters() if weight.ndim > 1)
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    fake = objective.discriminator(passed(tae, video).decoded.detach())
    real = objective.discriminator(video)
    torch.testing.assert_close(found.total - found.autoencoder, hinge_loss(real.logits, fake.logits))


def test_the_discriminator_is_not_looked_at_before_its_start_and_is_from_that_step_on():
    tae, objective = networks(adversary=adversary(start=3))
    _, without = networks()
    early, plain = (losses(tae, each, clips(), step=2) for each in (objective, without))
    assert torch.equal(early.total, plain.total)
    assert early.parts.keys() == plain.parts.keys()
    early.total.backward()
    assert all(weight.grad is None for weight in objective.parameters())
    late = losses(tae, objective, clips(), step=3)
    assert {"adversarial", "adaptive_weight", "matching", "discriminator", "logits_real"} <= late.parts.keys()
    assert late.total != late.autoencoder != plain.total


def test_at_its_start_the_discriminator_pulls_half_as_hard_as_the_reconstruction():
    """LDM's weight of 0.5 after the adaptive one, whatever the scale of the reconstruction."""
    for reduction in ("mean", "sum"):
        tae, objective = networks(adversary=adversary(matching=0.0), reduction=reduction, kl=0.0, outlier=0.0)
        found, layer = losses(tae, objective, clips()), last_matrix(tae.decoder)
        likeness = found.parts["reconstruction"] * (clips()[0].numel() if reduction == "sum" else 1)
        pull, both = (
            torch.autograd.grad(loss, layer, retain_graph=True)[0] for loss in (likeness, found.autoencoder)
        )
        torch.testing.assert_close((both - pull).norm(), 0.5 * pull.norm(), rtol=2e-2, atol=0)


def test_one_backward_pass_and_one_adamw_train_as_two_of_each():
    """Autoencoder and discriminator stepped by hand, as in LDM's code, against one step on the sum."""
    video, config = clips(), adversary(optimizer=OptimizerConfig(lr=2e-3, betas=(0.5, 0.9)))
    tae, objective = networks(adversary=config)
    other_tae, other = copy.deepcopy(tae), copy.deepcopy(objective)
    ours = OptimizerConfig(lr=1e-3)
    together = train_together(
        [Trained(tae, ours), Trained(objective.discriminator, config.optimizer)], steps=10
    )["optimizer"]
    apart = [
        train_together([Trained(network, settings)], steps=10)["optimizer"]
        for network, settings in ((other_tae, ours), (other.discriminator, config.optimizer))
    ]
    for _ in range(3):
        together.zero_grad()
        losses(tae, objective, video).total.backward()
        together.step()
        step_by_hand(other_tae, other, apart, video)
    for mine, theirs in ((tae, other_tae), (objective, other)):
        for name, value in mine.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], msg=name)


def step_by_hand(tae: TAE, objective: TAEObjective, optimizers: list[AdamW], video) -> None:
    """First the autoencoder's backward pass, then the discriminator's; gradients astray are dropped."""
    judge, config = objective.discriminator, objective.config.adversary
    plain = TAEObjective(TAELossConfig())
    one = passed(tae, video)
    likeness = (one.decoded - video).abs().mean()
    fake, real = judge(one.decoded), judge(video)
    adversarial = adversarial_loss(fake.logits)
    weight = adaptive_weight(likeness, adversarial, last_matrix(tae.decoder))
    total = plain(one, last_matrix(tae.decoder), 0).total + config.weight * weight * adversarial
    total = total + config.matching * feature_matching([f.detach() for f in real.features], fake.features)
    for optimizer in optimizers:
        optimizer.zero_grad()
    total.backward()
    judge.zero_grad()
    hinge_loss(judge(video).logits, judge(one.decoded.detach()).logits).backward()
    for optimizer in optimizers:
        optimizer.step()


def test_a_discriminators_warm_up_counts_from_its_start():
    network, judge = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    warm = OptimizerConfig(lr=1.0, warmup=4)
    parts = train_together([Trained(network, warm), Trained(judge, warm, start=2)], steps=10)
    rates = []
    for _ in range(6):
        rates.append([group["lr"] for group in parts["optimizer"].param_groups[::2]])
        parts["optimizer"].step()
        parts["lr_scheduler"]["scheduler"].step()
    assert [own for own, _ in rates] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [later for _, later in rates] == [0.25, 0.25, 0.25, 0.5, 0.75, 1]


def test_the_perceptual_distance_is_relative_to_the_reconstruction_and_trains_the_decoder_alone():
    tae, objective = networks(perceptual=PerceptualConfig(weight=2.0), kl=0.0, outlier=0.0)
    found = losses(tae, objective, clips(frames=4, size=32))
    torch.testing.assert_close(found.total, found.parts["reconstruction"] + 2 * found.parts["perceptual"])
    found.parts["perceptual"].backward()
    assert last_matrix(tae.decoder).grad.abs().sum() > 0
    assert list(objective.parameters()) == []
    assert objective.state_dict() == {}  # no checkpoint holds a frozen network


@pytest.mark.parametrize("frames", [1, 4, 8])
def test_a_sum_is_the_mean_times_the_values_of_a_clip(frames):
    video = clips(frames)
    tae, mean = networks(kl=0.0, outlier=0.0)
    _, total = networks(kl=0.0, outlier=0.0, reduction="sum")
    expected = losses(tae, mean, video).total * frames * 3 * 16 * 16
    torch.testing.assert_close(losses(tae, total, video).total, expected)


@pytest.mark.parametrize("r", [0.5, 3.0])
def test_r_of_the_outlier_penalty_is_that_of_the_config(r):
    tae, objective = networks(outlier=1.0, outlier_r=r, kl=0.0)
    found = losses(tae, objective, clips(size=64))
    assert (found.parts["outlier"] > 0) == (r < 1)


def test_lpips_without_its_weights_says_so_when_training_is_set_up():
    objective = TAEObjective(TAELossConfig(perceptual=PerceptualConfig(name="lpips-vgg")))
    with pytest.raises(ValueError, match="vgg16 weights"):
        objective.open(torch.device("cpu"))
