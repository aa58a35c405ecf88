"""The objective of the TAE: pixels, features, a discriminator and the latent, in one loss (Sec. 3.1.1).

The paper names the terms and discloses the weight of the outlier penalty alone. The other defaults are LDM's,
whose autoencoder it inflates.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from lightning_modules.optimization import OptimizerConfig
from models.tae import Posterior
from models.tae.discriminator import DiscriminatorConfig, PatchDiscriminator, Verdict, frozen
from models.tae.losses import (
    OUTLIER_THRESHOLD,
    adaptive_weight,
    adversarial_loss,
    feature_matching,
    hinge_loss,
    kl_divergence,
    outlier_penalty,
)
from models.tae.perceptual import PerceptualName, open_perceptual

RECONSTRUCTION = {"l1": l1_loss, "mse": mse_loss}


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig:
    """A distance of features, averaged over frames."""

    name: PerceptualName = "efficientnet-lite0"
    """LPIPS on VGG16 is LDM's; the packaged backbone stands in for it where its weights are not at hand."""
    weights: str | None = None
    """Path of torchvision's weights of the backbone; LPIPS needs it."""
    weight: float = 1.0
    """Relative to the reconstruction. Not disclosed: LDM's."""


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """The discriminator and how it is trained. Not disclosed: the numbers are LDM's."""

    network: DiscriminatorConfig = DiscriminatorConfig()  # noqa: RUF009, it is frozen
    """Its shape."""
    optimizer: OptimizerConfig = OptimizerConfig(betas=(0.5, 0.9), weight_decay=0.0)  # noqa: RUF009
    """Its AdamW; warm-up and decay count from `start`."""
    weight: float = 0.5
    """Of its verdict, relative to the weight at which it pulls as hard as the reconstruction."""
    start: int = 50_001
    """Optimizer steps before it is first looked at, and trained."""
    matching: float = 0.0
    """Weight of feature matching; 0 is none."""


@dataclass(frozen=True, kw_only=True)
class TAELossConfig:
    """Weights of the objective; the paper discloses that of the outlier penalty alone."""

    reconstruction: Literal["l1", "mse"] = "l1"
    """Distance of pixels in [-1, 1]."""
    reduction: Literal["mean", "sum"] = "mean"
    """Of reconstruction and perceptual distance over the values of a clip. LDM sums: its weights, and perhaps
    the paper's 1e5, are on that scale (docs/decisions/0017)."""
    kl: float = 1e-6
    """Weight of the KL divergence, which is summed over a clip's latent. Not disclosed: LDM's."""
    outlier: float = 1e5
    """Weight of the outlier penalty (Eq. 1)."""
    outlier_r: float = OUTLIER_THRESHOLD
    """Standard deviations from which a position is an outlier (r of Eq. 1)."""
    perceptual: PerceptualConfig | None = None
    """The perceptual distance; none leaves it out."""
    adversary: AdversaryConfig | None = None
    """The discriminator; none trains without one."""


class Pass(NamedTuple):
    """One pass of clips through the TAE."""

    video: Tensor
    decoded: Tensor
    posterior: Posterior
    latent: Tensor


class Losses(NamedTuple):
    """What the optimizer descends, the autoencoder's share of it, and its parts, each before its weight."""

    total: Tensor
    autoencoder: Tensor
    parts: dict[str, Tensor]


class TAEObjective(nn.Module):
    """Holds the discriminator, which is trained, and the perceptual network, which is not and is not saved"""

    def __init__(self, config: TAELossConfig) -> None:
        super().__init__()
        self.config = config
        self.discriminator = PatchDiscriminator(config.adversary.network) if config.adversary else None
        self._perceptual: tuple[nn.Module, ...] = ()  # in a tuple, so that no checkpoint holds it

    def open(self, device: torch.device) -> None:
        """Read the perceptual network's weights; what cannot be read is a ValueError or FileNotFoundError."""
        chosen = self.config.perceptual
        if chosen is not None and not self._perceptual:
            self._perceptual = (open_perceptual(chosen.name, chosen.weights).to(device),)

    def forward(self, passed: Pass, last_layer: Tensor, step: int) -> Losses:
        """The losses of optimizer step `step` (from 0); `last_layer` is the decoder's last matrix."""
        config, (video, decoded, posterior, latent) = self.config, passed
        parts = {"reconstruction": RECONSTRUCTION[config.reconstruction](decoded, video)}
        likeness = parts["reconstruction"]
        if config.perceptual is not None:
            (distance,) = self._perceptual
            parts["perceptual"] = distance(decoded.flatten(0, 1), video.flatten(0, 1)).mean()
            likeness = likeness + config.perceptual.weight * parts["perceptual"]
        if config.reduction == "sum":
            likeness = likeness * video[0].numel()
        parts["kl"] = kl_divergence(posterior)
        parts["outlier"] = outlier_penalty(latent, config.outlier_r)
        total = likeness + config.kl * parts["kl"] + config.outlier * parts["outlier"]
        if config.adversary is None or step < config.adversary.start:
            return Losses(total, total, parts)
        real, fake = self._judge(video, decoded.detach())
        judged = self._deceive(decoded, real, likeness, last_layer)
        total = total + config.adversary.weight * judged["adaptive_weight"] * judged["adversarial"]
        total = total + config.adversary.matching * judged.get("matching", 0.0)
        hinge = hinge_loss(real.logits, fake.logits)
        logits = {"logits_real": real.logits.mean(), "logits_fake": fake.logits.mean()}
        return Losses(total + hinge, total, {**parts, **judged, "discriminator": hinge, **logits})

    def _judge(self, video: Tensor, decoded: Tensor) -> tuple[Verdict, Verdict]:
        """Verdicts on originals and reconstructions, whose gradients reach the discriminator alone."""
        assert self.discriminator is not None
        logits, features = self.discriminator(torch.cat([video, decoded]))
        real, fake = zip(*(feature.chunk(2) for feature in [logits, *features]), strict=True)
        return Verdict(real[0], list(real[1:])), Verdict(fake[0], list(fake[1:]))

    def _deceive(
        self, decoded: Tensor, real: Verdict, likeness: Tensor, last_layer: Tensor
    ) -> dict[str, Tensor]:
        """What the verdict says to the autoencoder: its gradients reach nothing else."""
        assert self.discriminator is not None
        assert self.config.adversary is not None
        with frozen(self.discriminator):
            fake = self.discriminator(decoded)
        adversarial = adversarial_loss(fake.logits)
        weight = adaptive_weight(likeness, adversarial, last_layer)
        said = {"adversarial": adversarial, "adaptive_weight": weight}
        if self.config.adversary.matching:
            said["matching"] = feature_matching(real.features, fake.features)
        return said
