"""The temporal halves change nothing when they are new, and treat both directions of time alike."""

import pytest
import torch
from einops import rearrange
from torch.nn.functional import conv1d, pad

from models.tae.temporal import TemporalAttention, TemporalConv, TemporalDown, TemporalUp


@torch.no_grad()
def test_a_new_temporal_half_is_the_identity():
    video = torch.randn(2, 5, 3, 4, 8)
    torch.testing.assert_close(TemporalConv(8)(video), video)
    torch.testing.assert_close(TemporalAttention(8, groups=2)(video), video)


@pytest.mark.parametrize("kind", [TemporalConv, TemporalDown, TemporalUp])
@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_it_is_a_convolution_along_time_that_repeats_the_end_frames_forward_and_backward(kind, frames):
    layer = kind(4).double()
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    video = torch.randn(2, frames, 3, 2, 4, dtype=torch.double, requires_grad=True)

    lines = rearrange(video, "b t h w c -> (b h w) c t")
    lines = lines.repeat_interleave(2, dim=-1) if kind is TemporalUp else lines
    lines = pad(lines, (1, 1), mode="replicate")
    needed = conv1d(lines, layer.weight, layer.bias, stride=2 if kind is TemporalDown else 1)
    needed = rearrange(needed, "(b h w) c t -> b t h w c", h=3, w=2)
    out = layer(video)
    torch.testing.assert_close(out, needed)

    inputs = (video, layer.weight, layer.bias)
    towards = torch.randn_like(out)
    for got, true in zip(
        torch.autograd.grad(out, inputs, towards), torch.autograd.grad(needed, inputs, towards), strict=True
    ):
        torch.testing.assert_close(got, true)


def test_under_autocast_it_computes_in_the_lower_precision_and_its_weights_keep_theirs():
    layer = TemporalConv(8)
    torch.nn.init.normal_(layer.weight)
    video = torch.randn(2, 3, 2, 2, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(video)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), layer(video), atol=0.1, rtol=0.05)
    out.sum().backward()
    assert layer.weight.grad.dtype == video.grad.dtype == torch.float32


@torch.no_grad()
def test_reversing_time_and_the_taps_reverses_the_output():
    conv, mirror = TemporalConv(4), TemporalConv(4)
    torch.nn.init.normal_(conv.weight)
    mirror.weight.copy_(conv.weight.flip(-1))
    video = torch.randn(1, 7, 2, 2, 4)
    torch.testing.assert_close(mirror(video.flip(1)), conv(video).flip(1))


@torch.no_grad()
def test_stride_two_keeps_every_other_frame_of_the_identity_rounded_up():
    video = torch.randn(1, 7, 2, 2, 4)
    torch.testing.assert_close(TemporalDown(4)(video), video[:, ::2])


@torch.no_grad()
def test_going_up_repeats_each_frame_in_place():
    video = torch.randn(1, 3, 2, 2, 4)
    torch.testing.assert_close(TemporalUp(4)(video), video[:, [0, 0, 1, 1, 2, 2]])


@torch.no_grad()
def test_attention_mixes_times_of_one_position_and_no_others():
    layer = TemporalAttention(8, groups=8)
    torch.nn.init.normal_(layer.out.weight)
    layer.norm = torch.nn.Identity()  # a group norm would let positions hear each other
    video = torch.randn(1, 4, 2, 2, 8)
    other = video.clone()
    other[:, 0, 0, 0] += 1
    changed = (layer(video) - layer(other)).abs().sum(dim=-1)[0] > 1e-6
    assert changed[:, 0, 0].all()
    assert not changed[:, 0, 1].any()
    assert not changed[:, 1].any()
