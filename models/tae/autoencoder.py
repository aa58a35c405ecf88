"""The temporal autoencoder: videos of any length, and images, to latents and back (Sec. 3.1.1)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.tae.compact import CompactDecoder, CompactEncoder
from models.tae.config import TAEConfig
from models.tae.inflated import InflatedDecoder, InflatedEncoder

LOGVAR_RANGE = (-30.0, 20.0)  # keeps exp() finite, as in LDM
LOGVAR_START = -8.0  # a nearly deterministic posterior: reconstruction is learned before compression


class Posterior(NamedTuple):
    """The Gaussian that the encoder gives for each position of the latent."""

    mean: Float[Tensor, "b t c h w"]
    logvar: Float[Tensor, "b t c h w"]

    def sample(self, noise: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        """Draw with standard normal `noise`."""
        return self.mean + noise * torch.exp(0.5 * self.logvar)


class TAE(nn.Module):
    """Temporal autoencoder with the statistics of its latents, which later stages train on."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        self.config = config
        if config.halves == "compact":
            self.encoder, self.decoder = CompactEncoder(config), CompactDecoder(config)
        else:
            self.encoder, self.decoder = InflatedEncoder(config), InflatedDecoder(config)
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))

    def encode(self, video: Float[Tensor, "b t 3 h w"]) -> Posterior:
        """Encode pixels in [-1, 1]: t frames give ceil(t / time_factor); h and w must divide by space_factor.

        Wherever an odd number of frames is halved, the last one is repeated: an image costs one frame.
        """
        factor = self.config.space_factor
        h, w = video.shape[3:]
        if h % factor or w % factor:
            raise ValueError(
                f"The TAE needs height and width in multiples of {factor}; {h} x {w} came. Crop or pad it."
            )
        mean, logvar = self.encoder(video).chunk(2, dim=2)
        return Posterior(mean, (logvar + LOGVAR_START).clamp(*LOGVAR_RANGE))

    def decode(
        self, latent: Float[Tensor, "b t c h w"], frames: int | None = None
    ) -> Float[Tensor, "b tt 3 hh ww"]:
        """Decode to time_factor x t frames, or to the first `frames`: the rest are spurious (Fig. 4)."""
        return self.decoder(latent)[:, :frames]

    def normalise(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        """Latents to zero mean and unit deviation per channel, as the flow expects them."""
        return (latent - self.latent_mean[:, None, None]) / self.latent_std[:, None, None]

    def denormalise(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        """Undo `normalise`."""
        return latent * self.latent_std[:, None, None] + self.latent_mean[:, None, None]
