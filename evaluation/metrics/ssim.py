"""Structural similarity (11 x 11 Gaussian window), averaged over frames as the paper does (Sec. 3.6.3)."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8


def ssim(clip: UInt8[np.ndarray, "t h w 3"], reference: UInt8[np.ndarray, "t h w 3"]) -> float:
    """1 for equal clips; frames must have at least 11 rows and columns."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    if clip.shape != reference.shape:
        raise ValueError(f"SSIM compares clips of one shape; {clip.shape} and {reference.shape} came.")
    if min(clip.shape[1:3]) < 11:
        raise ValueError(
            f"SSIM needs frames of at least 11 x 11 pixels; {clip.shape[2]} x {clip.shape[1]} came."
        )
    first, second = (
        rearrange(torch.from_numpy(frames), "t h w c -> t c h w").double() for frames in (clip, reference)
    )
    value = structural_similarity_index_measure(first, second, data_range=255.0)
    assert isinstance(value, torch.Tensor)  # a pair only where its parts are asked for
    return value.item()
