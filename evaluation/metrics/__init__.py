"""Distances between a clip and its reference, one a file; each takes uint8 "t h w 3" and gives one number."""

from evaluation.metrics.psnr import psnr
from evaluation.metrics.ssim import ssim

__all__ = ["psnr", "ssim"]
