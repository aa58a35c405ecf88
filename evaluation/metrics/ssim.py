"""Structural similarity (Wang et al. 2004), averaged over frames as the paper does (Sec. 3.6.3)."""

import cv2
import numpy as np
from jaxtyping import UInt8

WINDOW, SIGMA = 11, 1.5  # of the Gaussian under which means and variances are taken
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # keep the ratios finite where there is no light or no contrast


def ssim(clip: UInt8[np.ndarray, "t h w 3"], reference: UInt8[np.ndarray, "t h w 3"]) -> float:
    """Mean over frames, channels and all places where the window fits; 1 for equal clips."""
    if clip.shape != reference.shape:
        raise ValueError(f"SSIM compares clips of one shape; {clip.shape} and {reference.shape} came.")
    if min(clip.shape[1:3]) < WINDOW:
        raise ValueError(
            f"SSIM needs at least {WINDOW} x {WINDOW} pixels; {clip.shape[2]} x {clip.shape[1]} came."
        )
    return float(np.mean([_frame(x, y) for x, y in zip(clip, reference, strict=True)]))


def _frame(first: np.ndarray, second: np.ndarray) -> float:
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x**2
    variance_y = _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return float(np.mean(light * structure))


def _local_mean(image: np.ndarray) -> np.ndarray:
    edge = WINDOW // 2
    return cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA)[edge:-edge, edge:-edge]
