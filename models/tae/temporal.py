"""Temporal halves of the TAE's blocks: convolution and resampling along time (Sec. 3.1.1).

All pad by repeating the end frames on both sides: nothing is causal, and an image is a video of one frame.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

TAPS = 3  # not disclosed


def repeat_ends(video: Float[Tensor, "b c t"], before: int, after: int) -> Float[Tensor, "b c tt"]:
    """Repeat the first and the last frame."""
    return pad(video, (before, after), mode="replicate")


class TemporalConv(nn.Module):
    """A 1D convolution along time at each position; starts as the identity: inflation changes nothing."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, TAPS, stride=stride)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The centre tap passes each channel through."""
        nn.init.dirac_(self.conv.weight)
        with torch.no_grad():
            self.conv.get_parameter("bias").zero_()

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt c h w"]:
        h, w = x.shape[-2:]
        x = rearrange(x, "b t c h w -> (b h w) c t")
        x = self.conv(repeat_ends(x, 1, 1))
        return rearrange(x, "(b h w) c t -> b t c h w", h=h, w=w)


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

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        b, _, _, h, w = x.shape
        normed = self.norm(rearrange(x, "b t c h w -> (b t) c h w"))
        tokens = rearrange(normed, "(b t) c h w -> (b h w) 1 t c", b=b)
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        mixed = self.out(nn.functional.scaled_dot_product_attention(query, key, value))
        return x + rearrange(mixed, "(b h w) 1 t c -> b t c h w", h=h, w=w)


def double_frames(x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt c h w"]:
    """Nearest-neighbour upsampling along time: each frame twice."""
    return torch.repeat_interleave(x, 2, dim=1)
