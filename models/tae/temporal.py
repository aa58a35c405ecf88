"""Temporal halves of the TAE's blocks: convolution, attention and resampling along time (Sec. 3.1.1).

All repeat the end frames on both sides: nothing is causal, and an image is a video of one frame.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, scaled_dot_product_attention

TAPS = 3  # not disclosed


class TemporalConv(nn.Conv1d):
    """A 1D convolution along time at each position; starts as the identity: inflation changes nothing.

    Computed as a 2D convolution of a (t, h w) picture, a view of channels-last video: no axis moves and no
    frame is copied. That one pads by zeros, so what the repeated end frames add comes after it.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, TAPS, stride=stride)

    def reset_parameters(self) -> None:
        """The centre tap passes each channel through."""
        nn.init.dirac_(self.weight)
        nn.init.zeros_(self.get_parameter("bias"))

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt h w c"]:
        frames, h = x.shape[1:3]
        (stride,) = self.stride
        picture = rearrange(x, "b t h w c -> b c t (h w)")
        out = conv2d(picture, self.weight[..., None], self.bias, stride=(stride, 1), padding=(1, 0))
        out = rearrange(out, "b c t (h w) -> b t h w c", h=h)
        before, _, after = self.weight.unbind(dim=-1)
        out[:, 0] += linear(x[:, 0], before)
        if (frames - 1) % stride == 0:  # the last output stands on the last frame
            out[:, -1] += linear(x[:, -1], after)
        return out


class TemporalAttention(nn.Module):
    """Attention of each position to itself at other times; starts as zero: inflation changes nothing."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The output starts at zero."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        b, _, h, w, _ = x.shape
        normed = self.norm(rearrange(x, "b t h w c -> (b t) c h w"))
        tokens = rearrange(normed, "(b t) c h w -> (b h w) 1 t c", b=b)
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        mixed = self.out(scaled_dot_product_attention(query, key, value))
        return x + rearrange(mixed, "(b h w) 1 t c -> b t h w c", h=h, w=w)


def double_frames(x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt h w c"]:
    """Nearest-neighbour upsampling along time: each frame twice."""
    return torch.repeat_interleave(x, 2, dim=1)
