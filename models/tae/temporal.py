"""Temporal halves of the TAE's blocks: convolution, attention and resampling along time (Sec. 3.1.1).

All repeat the end frames on both sides: nothing is causal, and an image is a video of one frame.
"""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, scaled_dot_product_attention

TAPS = 3  # not disclosed


class TapSum(torch.autograd.Function):
    """Each frame's neighbours at `offsets`, times a matrix each, plus a bias; the end frames repeat.

    Matrix products accumulate into one output: along time alone, which is far apart in memory, convolutions
    of narrow layers take a processor up to three times as long. Autograd of the same slices would add whole
    tensors of zeros.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """x is "b t h w c", weight "taps outputs inputs"; the tap at offset 0 comes first."""
        ctx.save_for_backward(x, weight)
        ctx.offsets = offsets
        out = x.new_empty(*x.shape[:4], weight.shape[1])  # itself and no view, so that it may be added to
        lines, sums, clips = x.flatten(1, 3), out.view(len(x), -1, weight.shape[1]), len(x)
        torch.baddbmm(bias, lines, weight[0].T.expand(clips, -1, -1), out=sums)
        for offset, matrix in zip(offsets[1:], weight[1:], strict=True):
            for to, come in moves(offset, x):
                sums[:, to].baddbmm_(lines[:, come], matrix.T.expand(clips, -1, -1))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # pyright: ignore
        x, weight = ctx.saved_tensors
        lines, towards, clips = x.flatten(1, 3), gradients[0].flatten(1, 3), len(x)
        to_x, to_weight = towards @ weight[0], torch.zeros_like(weight)
        to_weight[0] = (towards.mT @ lines).sum(dim=0)
        for tap, offset in enumerate(ctx.offsets[1:], start=1):
            for to, come in moves(offset, x):
                to_x[:, come].baddbmm_(towards[:, to], weight[tap].expand(clips, -1, -1))
                to_weight[tap] += (towards[:, to].mT @ lines[:, come]).sum(dim=0)
        return to_x.view_as(x), to_weight, towards.sum(dim=(0, 1)), None


def moves(offset: int, x: Float[Tensor, "b t h w c"]) -> list[tuple[slice, slice]]:
    """Which lines (t h w) hear which: all but one frame their neighbour, that one itself."""
    frame, whole = x.shape[2] * x.shape[3], x.shape[1] * x.shape[2] * x.shape[3]
    first, last = slice(0, frame), slice(whole - frame, whole)
    before, after = slice(0, whole - frame), slice(frame, whole)
    return [(after, before), (first, first)] if offset < 0 else [(before, after), (last, last)]


def tap_sum(
    x: Float[Tensor, "b t h w c"], taps: dict[int, Float[Tensor, "o c"]], bias: Float[Tensor, "o"]
) -> Float[Tensor, "b t h w o"]:
    """`TapSum` of a matrix for each offset, 0 first, in the precision that autocast asks for."""
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    weight = torch.stack(list(taps.values()))
    with torch.autocast(device, enabled=False):
        out = TapSum.apply(x.to(dtype), weight.to(dtype), bias.to(dtype), tuple(taps))
    assert isinstance(out, Tensor)
    return out


class TemporalConv(nn.Conv1d):
    """A 1D convolution along time at each position; starts as the identity: inflation changes nothing."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, TAPS, stride=stride)

    def reset_parameters(self) -> None:
        """The centre tap passes each channel through."""
        nn.init.dirac_(self.weight)
        nn.init.zeros_(self.get_parameter("bias"))

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        before, now, after = self.weight.unbind(dim=-1)
        return tap_sum(x, {0: now, -1: before, 1: after}, self.get_parameter("bias"))


class TemporalDown(TemporalConv):
    """Halve frames by a strided 1D convolution, to half of them rounded up."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, stride=2)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt h w c"]:
        """As a 2D convolution of a (t, h w) picture, a view of channels-last video: no frame is copied. It
        pads by zeros, so what the repeated end frames add comes after it."""
        frames, h = x.shape[1:3]
        picture = rearrange(x, "b t h w c -> b c t (h w)")
        out = conv2d(picture, self.weight[..., None], self.bias, stride=(2, 1), padding=(1, 0))
        out = rearrange(out, "b c t (h w) -> b t h w c", h=h)
        before, _, after = self.weight.unbind(dim=-1)
        out[:, 0] += linear(x[:, 0], before)
        if frames % 2:  # the last output stands on the last frame
            out[:, -1] += linear(x[:, -1], after)
        return out


class TemporalUp(TemporalConv):
    """Each frame twice (nearest-neighbour upsampling along time), then a 1D convolution.

    A frame and its copy see two different frames each, so two taps do the work of three.
    """

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt h w c"]:
        (before, now, after), bias = self.weight.unbind(dim=-1), self.get_parameter("bias")
        first = tap_sum(x, {0: now + after, -1: before}, bias)
        second = tap_sum(x, {0: before + now, 1: after}, bias)
        return rearrange([first, second], "i b t h w c -> b (t i) h w c")


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
