"""Layers of the image autoencoder: what is computed in another way is the same."""

import pytest
import torch
from einops import rearrange
from torch.nn.functional import interpolate

from models.tae.layers import double_pixels


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (5, 4)])
def test_doubling_pixels_is_nearest_upsampling_and_a_convolution_forward_and_backward(rows, columns):
    conv = torch.nn.Conv2d(3, 4, 3, padding=1).double()
    video = torch.randn(2, 2, rows, columns, 3, dtype=torch.double, requires_grad=True)

    frames = rearrange(video, "b t h w c -> (b t) c h w")
    needed = rearrange(conv(interpolate(frames, scale_factor=2)), "(b t) c h w -> b t h w c", b=2)
    out = double_pixels(conv, video)
    torch.testing.assert_close(out, needed)

    inputs = (video, conv.weight, conv.bias)
    towards = torch.randn_like(out)
    for got, true in zip(
        torch.autograd.grad(out, inputs, towards), torch.autograd.grad(needed, inputs, towards), strict=True
    ):
        torch.testing.assert_close(got, true)
