"""Camera path by phase correlation of neighbouring frames: shake (jerk of the path) and drift (its mean velocity).

The paper finds jitter by counting shots (scores/jitter.py); shake is our own column beside it, since a shaking clip
whose neighbouring frames resemble each other has no cut to count.
"""

import cv2
import numpy as np
from jaxtyping import Float

from curation.footage import Observer, Seen

TRUST = 0.1  # response of the correlation (0 to 1) below which a shift is not believed


class CameraPath(Observer):
    """Shifts are read from pictures of at most 64 pixels: coarse motion of the whole frame."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.last: Float[np.ndarray, "h w"] | None = None
        self.window: Float[np.ndarray, "h w"] | None = None
        self.shifts: list[tuple[float, float]] = []

    def see(self, seen: Seen) -> None:
        small = seen.small.astype(np.float32)
        if self.last is not None and self.last.shape == small.shape and min(small.shape) > 2:
            if self.window is None:
                self.window = cv2.createHanningWindow(small.shape[::-1], cv2.CV_32F)
            (dx, dy), response = cv2.phaseCorrelate(self.last, small, self.window)
            trusted = np.isfinite(dx) and np.isfinite(dy) and response >= TRUST
            self.shifts.append((dx / small.shape[1], dy / small.shape[0]) if trusted else (0.0, 0.0))
        self.last = small

    def result(self) -> dict[str, float | None]:
        if not self.shifts or self.seconds <= 0:
            return {"shake": 0.0, "drift_x": 0.0, "drift_y": 0.0}
        shifts = np.array(self.shifts)
        total = shifts.sum(axis=0) / self.seconds
        jerk = np.hypot(*np.diff(shifts, axis=0).T) / np.sqrt(2) if len(shifts) > 1 else np.zeros(1)
        return {
            "shake": float(1000 * np.median(jerk)),
            "drift_x": float(total[0]),
            "drift_y": float(total[1]),
        }
