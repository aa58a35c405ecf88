"""A model's values as the pixels that are written to files and seen: metrics are taken of these."""

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor


def to_pixels(video: Float[Tensor, "b t 3 h w"]) -> UInt8[Tensor, "b t h w 3"]:
    """[-1, 1] to uint8, rounded, on the same device."""
    scaled = ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(scaled, "b t c h w -> b t h w c")


def resolution_of(video: Float[Tensor, "b t 3 h w"]) -> str:
    """Width, height and frames, as a bucket is called: 64x64x16."""
    return f"{video.shape[-1]}x{video.shape[-2]}x{video.shape[1]}"
