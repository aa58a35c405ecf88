"""Halves of a TAE that learn in minutes on a processor: the paper's latents, fewer passes over pixels.

Not the paper's layers (inflated.py has those): resampling is space-to-depth with a linear map beside a
parameter-free average, so that the untrained network already passes coarse content; convolutions see the
frames beside theirs by shifted channels. All is channels-last, `b t h w c`: norms and linear maps are one
pass over memory.
"""

from itertools import pairwise

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from models.tae.config import TAEConfig

AREA = 4  # positions of a frame that every resampling makes one of


def fold(x: Float[Tensor, "b t h w c"], stride: int = 2) -> Float[Tensor, "b tt hh ww cc"]:
    """Space-to-depth: `stride` frames of 2 x 2 positions become one with as many times the channels.

    The last frame is repeated until `stride` divides.
    """
    if missing := -x.shape[1] % stride:
        x = torch.cat([x, x[:, -1:].expand(-1, missing, -1, -1, -1)], dim=1)
    return rearrange(x, "b (t i) (h j) (w k) c -> b t h w (c i j k)", i=stride, j=2, k=2)


def unfold(x: Float[Tensor, "b t h w c"], stride: int = 2) -> Float[Tensor, "b tt hh ww cc"]:
    """Undo `fold`."""
    return rearrange(x, "b t h w (c i j k) -> b (t i) (h j) (w k) c", i=stride, j=2, k=2)


class Down(nn.Module):
    """Halve rows, columns and, at stride 2, frames; what is learned comes on top of an average."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs * stride * AREA, outputs)
        self.outputs, self.stride = outputs, stride

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
        folded = fold(x, self.stride)
        return self.linear(folded) + reduce(folded, "b t h w (c g) -> b t h w c", "mean", c=self.outputs)


class Up(nn.Module):
    """Undo `Down` in shape; what is learned comes on top of a repetition."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs * stride * AREA)
        self.repeats, self.stride = outputs * stride * AREA // inputs, stride

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
        repeated = repeat(x, "b t h w c -> b t h w (c g)", g=self.repeats)
        return unfold(self.linear(x) + repeated, self.stride)


def shift(x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
    """A quarter of the channels from the frame before, a quarter from the one after; the ends repeat."""
    before, after, now = x.split(
        [x.shape[-1] // 4, x.shape[-1] // 4, x.shape[-1] - x.shape[-1] // 4 * 2], dim=-1
    )
    before = torch.cat([before[:, :1], before[:, :-1]], dim=1)
    after = torch.cat([after[:, 1:], after[:, -1:]], dim=1)
    return torch.cat([before, after, now], dim=-1)


class Residual(nn.Module):
    """A 3 x 3 convolution that sees three frames through `shift`, and a linear map, around the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, bias=False)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        frames = rearrange(shift(self.norm(x)), "b t h w c -> (b t) c h w")  # a view: channels_last
        frames = silu(self.conv(frames))
        return x + self.out(rearrange(frames, "(b t) c h w -> b t h w c", b=len(x)))


class CompactEncoder(nn.Module):
    """Video to the mean and log-variance of its latent; rows and columns are halved before each level."""

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        widths, (self.stride, *strides) = config.widths, config.time_strides
        self.stem = nn.Linear(3 * self.stride * AREA, widths[0])
        downs = [Down(*pair, stride) for pair, stride in zip(pairwise(widths), strides, strict=True)]
        self.levels = nn.ModuleList(
            nn.Sequential(down, *(Residual(width) for _ in range(config.blocks)))
            for width, down in zip(widths, [nn.Identity(), *downs], strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], bias=False)
        self.out = nn.Linear(widths[-1], 2 * config.latent_channels)

    def forward(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b tt cc hh ww"]:
        x = self.stem(fold(rearrange(video, "b t c h w -> b t h w c"), self.stride))
        for level in self.levels:
            x = level(x)
        return rearrange(self.out(self.norm(x)), "b t h w c -> b t c h w")


class CompactDecoder(nn.Module):
    """Latent to video; rows and columns are doubled behind each level."""

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        widths, (self.stride, *strides) = config.widths, config.time_strides
        self.stem = nn.Linear(config.latent_channels, widths[-1])
        ups = [
            Up(wide, narrow, stride) for (narrow, wide), stride in zip(pairwise(widths), strides, strict=True)
        ]
        levels = [
            nn.Sequential(*(Residual(width) for _ in range(config.blocks)), up)
            for width, up in zip(widths, [nn.Identity(), *ups], strict=True)
        ]
        self.levels = nn.ModuleList(reversed(levels))
        self.norm = nn.LayerNorm(widths[0], bias=False)
        self.out = nn.Linear(widths[0], 3 * self.stride * AREA)

    def forward(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt 3 hh ww"]:
        x = self.stem(rearrange(latent, "b t c h w -> b t h w c"))
        for level in self.levels:
            x = level(x)
        return rearrange(unfold(self.out(self.norm(x)), self.stride), "b t h w c -> b t c h w")
