"""What the TAE is trained to do besides reconstruct (Sec. 3.1.1, Eq. 1)."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from models.tae.autoencoder import Posterior

OUTLIER_THRESHOLD = 3.0  # r of Eq. 1


def kl_divergence(posterior: Posterior) -> Float[Tensor, ""]:
    """KL divergence to the standard normal, summed over a sample's latent and averaged over the batch."""
    mean, logvar = posterior
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(dim=1).mean()


def outlier_penalty(latent: Float[Tensor, "b t c h w"], r: float = OUTLIER_THRESHOLD) -> Float[Tensor, ""]:
    """Outlier Penalty Loss: how far positions stand beyond `r` standard deviations from their frame's mean.

    Mean and deviation are vectors of one value a channel, the norm is over channels: with scalars clean
    noise would be punished at most positions. Frames are folded into the batch.
    """
    frames = rearrange(latent, "b t c h w -> (b t) (h w) c")
    distance = torch.linalg.vector_norm(frames - frames.mean(dim=1, keepdim=True), dim=-1)
    limit = r * torch.linalg.vector_norm(frames.std(dim=1, correction=0), dim=-1, keepdim=True)
    return (distance - limit).clamp(min=0).mean()
