"""Peak signal-to-noise ratio in decibels, averaged over frames as the paper does (Sec. 3.6.3)."""

import numpy as np
from jaxtyping import UInt8

CEILING = 100.0  # dB, for frames that are equal; one value of a megapixel frame off by one is 113 dB


def psnr(clip: UInt8[np.ndarray, "t h w 3"], reference: UInt8[np.ndarray, "t h w 3"]) -> float:
    """Mean over frames of `10 log10(255^2 / mean squared error)`, each at most `CEILING`."""
    if clip.shape != reference.shape:
        raise ValueError(f"PSNR compares clips of one shape; {clip.shape} and {reference.shape} came.")
    pairs = zip(clip.astype(np.int16), reference, strict=True)
    errors = np.array([np.square(new - old, dtype=np.int32).mean() for new, old in pairs])
    floor = 255**2 / 10 ** (CEILING / 10)
    return float(np.mean(10 * np.log10(255**2 / np.maximum(errors, floor))))
