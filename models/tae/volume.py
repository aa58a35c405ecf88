"""3D layers in place of the paper's 2.5D ones, for its ablation (Table 11).

`space` is what an image autoencoder has, with a third axis of its kernel, time. A new layer does what the
image layer does: its other taps are zero. Attention and norms of 3D TAEs are not disclosed.
"""

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from models.tae.layers import FrameAttention, per_frame
from models.tae.temporal import TAPS


def per_volume(conv: nn.Conv3d, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b _ _ _ _"]:
    """Apply a 3D convolution to channels-last video."""
    return rearrange(conv(rearrange(x, "b t h w c -> b c t h w")), "b c t h w -> b t h w c")


def repeat_ends(x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt h w c"]:
    """The first and the last frame once more."""
    return torch.cat([x[:, :1], x, x[:, -1:]], dim=1)


@torch.no_grad()
def start_as_image(conv: nn.Conv3d) -> None:
    """The centre tap of time starts as a 2D convolution does, the others at zero."""
    conv.weight.zero_()
    nn.init.kaiming_uniform_(conv.weight[:, :, conv.kernel_size[0] // 2], a=math.sqrt(5))  # as Conv2d


class VolumeConv(nn.Module):
    """A 3D convolution: time repeats its end frames, rows and columns pad by zeros as the image's do."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.kernel = kernel
        self.space = nn.Conv3d(inputs, outputs, kernel, padding=(0, kernel // 2, kernel // 2))
        start_as_image(self.space)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w cc"]:
        return per_volume(self.space, repeat_ends(x) if self.kernel == TAPS else x)


class VolumeDown(nn.Module):
    """Halve rows, columns and frames by one strided 3D convolution, padded below and right as LDM's."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.space = nn.Conv3d(channels, channels, 3, stride=(stride, 2, 2))
        start_as_image(self.space)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww c"]:
        return per_volume(self.space, repeat_ends(pad(x, (0, 0, 0, 1, 0, 1))))


class VolumeUp(VolumeConv):
    """Double frames, rows and columns by repetition, then a 3D convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels)
        self.stride = stride

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww c"]:
        return super().forward(repeat(x, "b t h w c -> b (t i) (h j) (w k) c", i=self.stride, j=2, k=2))


class VolumeAttention(FrameAttention):
    """Attention among all positions of all frames; on a still video the same as within each frame."""

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        tokens = rearrange(per_frame(self.space.norm, x), "b t h w c -> b 1 (t h w) c")
        mixed = self.space.attend(tokens)
        return x + rearrange(mixed, "b 1 (t h w) c -> b t h w c", t=x.shape[1], h=x.shape[2])
