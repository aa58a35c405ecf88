"""The paper's TAE: the image autoencoder of LDM with time behind every layer (Sec. 3.1.1, Fig. 4).

With layers that know no time, the same halves are the image autoencoder.
"""

from itertools import pairwise

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from models.tae.blocks import LAYERS, Level, Middle, NormSiLU, ResidualBlock
from models.tae.config import TAEConfig


class InflatedEncoder(nn.Module):
    """Video to the mean and log-variance of its latent; each level but the last halves rows and columns."""

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        layers, widths, groups = LAYERS[config.halves], config.widths, config.groups
        moments = 2 * config.latent_channels
        self.stem = layers.conv(3, widths[0])
        self.levels = nn.ModuleList()
        strides = (*config.time_strides, None)
        for (inputs, outputs), stride in zip(pairwise((widths[0], *widths)), strides, strict=True):
            blocks = [
                ResidualBlock(layers, outputs if block else inputs, outputs, groups)
                for block in range(config.blocks)
            ]
            self.levels.append(Level(blocks, layers.down(outputs, stride) if stride else nn.Identity()))
        self.middle = Middle(layers, widths[-1], groups)
        self.norm = NormSiLU(widths[-1], groups)
        self.out = layers.conv(widths[-1], moments)
        self.map = layers.conv(moments, moments, kernel=1) if config.latent_maps else nn.Identity()

    def forward(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b tt cc hh ww"]:
        x = self.stem(rearrange(video, "b t c h w -> b t h w c"))
        for level in self.levels:
            x = level(x)
        x = self.map(self.out(self.norm(self.middle(x))))
        return rearrange(x, "b t h w c -> b t c h w")


class InflatedDecoder(nn.Module):
    """Latent to video; as in LDM one block more than the encoder on each level."""

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        layers, widths, groups = LAYERS[config.halves], config.widths, config.groups
        channels = config.latent_channels
        self.map = layers.conv(channels, channels, kernel=1) if config.latent_maps else nn.Identity()
        self.stem = layers.conv(channels, widths[-1])
        self.middle = Middle(layers, widths[-1], groups)
        self.levels = nn.ModuleList()
        strides = (*reversed(config.time_strides), None)
        for (inputs, outputs), stride in zip(pairwise((widths[-1], *reversed(widths))), strides, strict=True):
            blocks = [
                ResidualBlock(layers, outputs if block else inputs, outputs, groups)
                for block in range(config.blocks + 1)
            ]
            self.levels.append(Level(blocks, layers.up(outputs, stride) if stride else nn.Identity()))
        self.norm = NormSiLU(widths[0], groups)
        self.out = layers.conv(widths[0], 3)

    def forward(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt 3 hh ww"]:
        x = self.middle(self.stem(self.map(rearrange(latent, "b t c h w -> b t h w c"))))
        for level in self.levels:
            x = level(x)
        return rearrange(self.out(self.norm(x)), "b t h w c -> b t c h w")
