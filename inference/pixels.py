"""Pixels as models see them, in [-1, 1], and as files hold them, uint8."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor


def to_pixels(video: Float[Tensor, "b t 3 h w"]) -> UInt8[np.ndarray, "b t h w 3"]:
    """[-1, 1] to uint8, rounded."""
    scaled = ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(scaled, "b t c h w -> b t h w c").cpu().numpy()


def to_values(frames: UInt8[np.ndarray, "b t h w 3"]) -> Float[Tensor, "b t 3 h w"]:
    """uint8 to [-1, 1], the inverse of `to_pixels`."""
    return rearrange(torch.from_numpy(frames), "b t h w c -> b t c h w").float() / 127.5 - 1
