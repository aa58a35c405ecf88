"""Jitter (App. B.1): cuts that PySceneDetect counts per second of a clip; frantic camera work looks like
cutting.

A cut of its ContentDetector is a frame step whose mean change of hue, saturation and value reaches a
threshold. With no shortest shot, as here, that is all there is to it, and OpenCV sums it in a fraction of the
time; the tests hold the counts against PySceneDetect's own.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

from curation.footage import Observer, Seen

THRESHOLD = 27.0  # PySceneDetect's default; the paper names none


class Jitter(Observer):
    """Counts every cut, however short the shot: a minimum length would hide what this looks for."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.last: UInt8[np.ndarray, "h w 3"] | None = None
        self.cuts = 0

    def see(self, seen: Seen) -> None:
        colours = cv2.cvtColor(seen.bgr, cv2.COLOR_BGR2HSV)
        if self.last is not None and self.last.shape == colours.shape:
            self.cuts += sum(cv2.mean(cv2.absdiff(colours, self.last))[:3]) / 3 >= THRESHOLD
        self.last = colours

    def result(self) -> dict[str, float | None]:
        return {"shots_per_second": self.cuts / self.seconds if self.seconds > 0 else None}
