"""VMAF motion (App. B.1): the mean absolute difference of neighbouring frames, each blurred by VMAF's filter.

The numbers are those of FFmpeg's `vmafmotion` (the tests hold them against it), a tenth of its cost: its
filter runs in plain C. The paper drops clips with a mean of 2.0 or less; it does not say at which size it
measured. Frames whose shorter side is longer than `rows` are scaled down first, which moves the mean by
little.
"""

import cv2
import numpy as np
from jaxtyping import Float

from curation.footage import Observer, Seen
from curation.reduced import ROWS

KERNEL = np.array([3571, 16004, 26386, 16004, 3571], np.float32) / 65536  # VMAF's Gaussian


class VmafMotion(Observer):
    """Mean over the frames after the first, in levels of luma as it is coded; None for a single frame."""

    def __init__(self, rows: int = ROWS):
        self.rows = rows
        self.last: Float[np.ndarray, "h w"] | None = None
        self.scores: list[float] = []

    def see(self, seen: Seen) -> None:
        blurred = cv2.sepFilter2D(seen.luma, cv2.CV_32F, KERNEL, KERNEL)
        if self.last is not None and self.last.shape == blurred.shape:  # a stream may change its size
            self.scores.append(cv2.norm(blurred, self.last, cv2.NORM_L1) / blurred.size)
        self.last = blurred

    def result(self) -> dict[str, float | None]:
        return {"vmaf_motion": float(np.mean(self.scores)) if self.scores else None}
