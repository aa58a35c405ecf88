"""Halves of a TAE that learn in minutes on a processor: the paper's latents, fewer passes over pixels.

Not the paper's layers (inflated.py has those): resampling is space-to-depth with a linear map beside a
parameter-free average, so that the untrained network already passes coarse content; convolutions see the
frames beside theirs by shifted channels. All is channels-last, `b t h w c`: norms and linear maps are one
pass over memory.
"""

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

FACTOR = 2  # of every resampling, in time, rows and columns


def fold(x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
    """Space-to-depth: each cube of 2 x 2 x 2 positions becomes one with 8 times the channels."""
    return rearrange(x, "b (t i) (h j) (w k) c -> b t h w (c i j k)", i=FACTOR, j=FACTOR, k=FACTOR)


def unfold(x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
    """Undo `fold`."""
    return rearrange(x, "b t h w (c i j k) -> b (t i) (h j) (w k) c", i=FACTOR, j=FACTOR, k=FACTOR)


class Down(nn.Module):
    """Halve time, rows and columns; what is learned comes on top of an average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs * FACTOR**3, outputs)
        self.outputs = outputs

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
        folded = fold(x)
        return self.linear(folded) + reduce(folded, "b t h w (c g) -> b t h w c", "mean", c=self.outputs)


class Up(nn.Module):
    """Double time, rows and columns; what is learned comes on top of a repetition."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs * FACTOR**3)
        self.repeats = outputs * FACTOR**3 // inputs

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
        return unfold(self.linear(x) + repeat(x, "b t h w c -> b t h w (c g)", g=self.repeats))


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
    """Video to the mean and log-variance of its latent, 8 x 8 x 8 smaller."""

    def __init__(self, widths: tuple[int, ...], blocks: int, latent_channels: int) -> None:
        super().__init__()
        self.stem = nn.Linear(3 * FACTOR**3, widths[0])
        self.levels = nn.ModuleList()
        for index, width in enumerate(widths):
            down = Down(widths[index - 1], width) if index else nn.Identity()
            self.levels.append(nn.Sequential(down, *(Residual(width) for _ in range(blocks))))
        self.norm = nn.LayerNorm(widths[-1], bias=False)
        self.out = nn.Linear(widths[-1], 2 * latent_channels)

    def forward(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b tt cc hh ww"]:
        x = self.stem(fold(rearrange(video, "b t c h w -> b t h w c")))
        for level in self.levels:
            x = level(x)
        return rearrange(self.out(self.norm(x)), "b t h w c -> b t c h w")


class CompactDecoder(nn.Module):
    """Latent to video, 8 x 8 x 8 larger."""

    def __init__(self, widths: tuple[int, ...], blocks: int, latent_channels: int) -> None:
        super().__init__()
        self.stem = nn.Linear(latent_channels, widths[-1])
        self.levels = nn.ModuleList()
        for index in reversed(range(len(widths))):
            up = Up(widths[index], widths[index - 1]) if index else nn.Identity()
            self.levels.append(nn.Sequential(*(Residual(widths[index]) for _ in range(blocks)), up))
        self.norm = nn.LayerNorm(widths[0], bias=False)
        self.out = nn.Linear(widths[0], 3 * FACTOR**3)

    def forward(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt 3 hh ww"]:
        x = self.stem(rearrange(latent, "b t c h w -> b t h w c"))
        for level in self.levels:
            x = level(x)
        return rearrange(unfold(self.out(self.norm(x))), "b t h w c -> b t c h w")
