"""The paper's TAE: the image autoencoder of LDM with time behind every layer (Sec. 3.1.1, Fig. 4)."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from models.tae.blocks import Conv, Downsample, Middle, ResidualBlock, Upsample, per_frame


class InflatedEncoder(nn.Module):
    """Video to the mean and log-variance of its latent; each level but the last halves all three axes."""

    def __init__(self, widths: tuple[int, ...], blocks: int, latent_channels: int, groups: int) -> None:
        super().__init__()
        self.stem = Conv(3, widths[0])
        self.levels = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(pairwise((widths[0], *widths))):
            level = [
                ResidualBlock(inputs if block == 0 else outputs, outputs, groups) for block in range(blocks)
            ]
            down = Downsample(outputs) if index < len(widths) - 1 else nn.Identity()
            self.levels.append(nn.Sequential(*level, down))
        self.middle = Middle(widths[-1], groups)
        self.norm = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.out = Conv(widths[-1], 2 * latent_channels)

    def forward(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b tt cc hh ww"]:
        x = self.stem(video)
        for level in self.levels:
            x = level(x)
        return self.out(silu(per_frame(self.norm, self.middle(x))))


class InflatedDecoder(nn.Module):
    """Latent to video; as in LDM one block more than the encoder on each level."""

    def __init__(self, widths: tuple[int, ...], blocks: int, latent_channels: int, groups: int) -> None:
        super().__init__()
        self.stem = Conv(latent_channels, widths[-1])
        self.middle = Middle(widths[-1], groups)
        self.levels = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(pairwise((widths[-1], *reversed(widths)))):
            level = [
                ResidualBlock(inputs if block == 0 else outputs, outputs, groups)
                for block in range(blocks + 1)
            ]
            up = Upsample(outputs) if index < len(widths) - 1 else nn.Identity()
            self.levels.append(nn.Sequential(*level, up))
        self.norm = nn.GroupNorm(groups, widths[0], eps=1e-6)
        self.out = Conv(widths[0], 3)

    def forward(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt 3 hh ww"]:
        x = self.middle(self.stem(latent))
        for level in self.levels:
            x = level(x)
        return self.out(silu(per_frame(self.norm, x)))
