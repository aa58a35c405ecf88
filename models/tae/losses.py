"""What the TAE is trained to do besides reconstruct (Sec. 3.1.1, Eq. 1)."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss, relu

from models.tae.autoencoder import Posterior

OUTLIER_THRESHOLD = 3.0  # r of Eq. 1
WEIGHT_FLOOR, WEIGHT_LIMIT = 1e-4, 1e4  # of the adaptive weight; not disclosed: LDM's


def kl_divergence(posterior: Posterior) -> Float[Tensor, ""]:
    """KL divergence to the standard normal, summed over a sample's latent and averaged over the batch."""
    mean, logvar = posterior
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(dim=1).mean()


def outlier_penalty(latent: Float[Tensor, "b t c h w"], r: float = OUTLIER_THRESHOLD) -> Float[Tensor, ""]:
    """Outlier Penalty Loss: how far positions stand beyond `r` deviations from their frame's mean (Eq. 1)."""
    distance, deviation = _spread(latent)
    return (distance - r * deviation).clamp(min=0).mean()


def outlier_map(latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t h w"]:
    """How many standard deviations each position stands from its frame's mean: Eq. 1 is zero up to r."""
    distance, deviation = _spread(latent)
    tiny = torch.finfo(latent.dtype).tiny  # a constant frame is at zero deviations
    return rearrange(distance / deviation.clamp(min=tiny), "(b t) (h w) -> b t h w",
                     b=len(latent), h=latent.shape[3])  # fmt: skip


def hinge_loss(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """What the discriminator minimises: logits of real patches above 1, of reconstructed ones below -1."""
    return 0.5 * (relu(1 - real).mean() + relu(1 + fake).mean())


def adversarial_loss(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """What the autoencoder minimises: reconstructions that the discriminator takes for real."""
    return -fake.mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Distance of the discriminator's features of a reconstruction to those of the original (pix2pixHD)."""
    return torch.stack([l1_loss(f, r.detach()) for r, f in zip(real, fake, strict=True)]).mean()


def adaptive_weight(
    reconstruction: Float[Tensor, ""], adversarial: Float[Tensor, ""], last_layer: Tensor
) -> Float[Tensor, ""]:
    """LDM's weight of the adversarial loss, after which both losses pull equally on the decoder's last layer.

    It makes the scale of the discriminator's logits, and of the reconstruction loss, irrelevant.
    """
    pulls = [
        torch.autograd.grad(loss, last_layer, retain_graph=True)[0].norm()
        for loss in (reconstruction, adversarial)
    ]
    return (pulls[0] / (pulls[1] + WEIGHT_FLOOR)).clamp(max=WEIGHT_LIMIT).detach()


def _spread(latent: Float[Tensor, "b t c h w"]) -> tuple[Float[Tensor, "n hw"], Float[Tensor, "n 1"]]:
    """Each position's distance from its frame's mean, and the length of the frame's standard deviation.

    Mean and deviation are vectors of one value a channel, the norm is over channels: with scalars clean
    noise would be punished at most positions. Frames are folded into the batch.
    """
    frames = rearrange(latent, "b t c h w -> (b t) (h w) c")
    distance = torch.linalg.vector_norm(frames - frames.mean(dim=1, keepdim=True), dim=-1)
    return distance, torch.linalg.vector_norm(frames.std(dim=1, correction=0), dim=-1, keepdim=True)
