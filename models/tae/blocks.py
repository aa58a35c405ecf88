"""Blocks of the inflated image autoencoder: each 2D part with its temporal half (Sec. 3.1.1, Fig. 4)."""

from collections.abc import Callable

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, scaled_dot_product_attention, silu

from models.tae.temporal import TemporalAttention, TemporalConv, double_frames


def per_frame(layer: Callable[[Tensor], Tensor], x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t _ _ _"]:
    """Apply an image layer to each frame."""
    frames = layer(rearrange(x, "b t c h w -> (b t) c h w"))
    return rearrange(frames, "(b t) c h w -> b t c h w", b=len(x))


class Conv(nn.Module):
    """A 2D convolution, then a 1D convolution along time."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.space = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.time = TemporalConv(outputs)

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t cc h w"]:
        return self.time(per_frame(self.space, x))


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice, around the identity."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=1e-6)
        self.conv1 = Conv(inputs, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=1e-6)
        self.conv2 = Conv(outputs, outputs)
        self.skip = Conv(inputs, outputs, kernel=1) if inputs != outputs else nn.Identity()

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t cc h w"]:
        hidden = self.conv1(silu(per_frame(self.norm1, x)))
        return self.skip(x) + self.conv2(silu(per_frame(self.norm2, hidden)))


class SpatialAttention(nn.Module):
    """Attention among the positions of one frame, around the identity."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        b, _, _, h, _ = x.shape
        tokens = rearrange(per_frame(self.norm, x), "b t c h w -> (b t) 1 (h w) c")
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        mixed = self.out(scaled_dot_product_attention(query, key, value))
        return x + rearrange(mixed, "(b t) 1 (h w) c -> b t c h w", b=b, h=h)


class Middle(nn.Sequential):
    """Residual block, spatial then temporal attention, residual block, at the latent's resolution."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(
            ResidualBlock(channels, channels, groups),
            SpatialAttention(channels, groups),
            TemporalAttention(channels, groups),
            ResidualBlock(channels, channels, groups),
        )


class Downsample(nn.Module):
    """Halve rows and columns by a strided 2D convolution, frames by a strided 1D convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.space = nn.Conv2d(channels, channels, 3, stride=2)
        self.time = TemporalConv(channels, stride=2)

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt c hh ww"]:
        padded = pad(x, (0, 1, 0, 1))  # LDM pads right and below only: its weights expect it
        return self.time(per_frame(self.space, padded))


class Upsample(nn.Module):
    """Double frames, rows and columns by repetition, each followed by a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv(channels, channels)

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt c hh ww"]:
        return self.conv(double_frames(per_frame(_double_pixels, x)))


def _double_pixels(frames: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
    return interpolate(frames, scale_factor=2.0, mode="nearest")
