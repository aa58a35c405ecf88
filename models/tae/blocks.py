"""Blocks of the image autoencoder, of layers that know time or not (Sec. 3.1.1, Fig. 4)."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from models.tae.layers import (
    Attention,
    Conv,
    Down,
    FrameAttention,
    FrameConv,
    FrameDown,
    FrameUp,
    Up,
    per_frame,
)
from models.tae.volume import VolumeAttention, VolumeConv, VolumeDown, VolumeUp


class Layers(NamedTuple):
    """What the blocks are made of: one way of knowing time."""

    conv: Callable[..., nn.Module]
    """(inputs, outputs, kernel = 3)"""
    down: Callable[[int, int], nn.Module]
    """(channels, stride of frames); rows and columns are halved"""
    up: Callable[[int, int], nn.Module]
    """(channels, stride of frames); undoes `down`"""
    attention: Callable[[int, int], nn.Module]
    """(channels, groups of the norm)"""


LAYERS = {
    "inflated": Layers(Conv, Down, Up, Attention),
    "inflated_3d": Layers(VolumeConv, VolumeDown, VolumeUp, VolumeAttention),
    "framewise": Layers(FrameConv, FrameDown, FrameUp, FrameAttention),
}


class NormSiLU(nn.GroupNorm):
    """A group norm of each frame, then SiLU."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(groups, channels, eps=1e-6)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        return silu(per_frame(super().forward, x), inplace=True)


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice, around the identity."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = NormSiLU(inputs, groups)
        self.conv1 = layers.conv(inputs, outputs)
        self.norm2 = NormSiLU(outputs, groups)
        self.conv2 = layers.conv(outputs, outputs)
        self.skip = layers.conv(inputs, outputs, kernel=1) if inputs != outputs else nn.Identity()

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w cc"]:
        hidden = self.conv2(self.norm2(self.conv1(self.norm1(x))))
        hidden += self.skip(x)
        return hidden


class Middle(nn.Module):
    """Residual block, attention, residual block, at the latent's resolution."""

    def __init__(self, layers: Layers, channels: int, groups: int) -> None:
        super().__init__()
        self.before = ResidualBlock(layers, channels, channels, groups)
        self.attention = layers.attention(channels, groups)
        self.after = ResidualBlock(layers, channels, channels, groups)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        return self.after(self.attention(self.before(x)))


class Level(nn.Module):
    """Residual blocks of one width, then a change of resolution or none."""

    def __init__(self, blocks: list[ResidualBlock], resample: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.resample = resample

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww cc"]:
        return self.resample(self.blocks(x))
