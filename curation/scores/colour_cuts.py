"""Cuts between shots over one background, which differ by little: jumps of the colour histogram.

An object that moves leaves the colours of a picture as they are; another object brings others. A step is a
cut where the histogram changes by a part of the picture, and by a multiple of what it does in the steps about
it. Meant for clean material such as the toy world's: in heavily compressed video every keyframe may be such
a step.
"""

from collections import deque

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scenedetect import FrameTimecode

BINS = 16  # of each colour; smoothed, so that a colour at the edge of a bin does not jump
CHANGE = 0.03  # part of the picture whose colours change
TIMES = 2.0  # the largest change among the neighbouring steps
REACH = 2  # steps before and after


class ColourCuts:
    """A detector with the methods of PySceneDetect's; finds a cut `REACH` frames after it is past."""

    def __init__(self):
        self.last: Float[np.ndarray, "b b b"] | None = None
        self.steps: deque[tuple[FrameTimecode, float]] = deque(maxlen=2 * REACH + 1)

    def process_frame(self, when: FrameTimecode, picture: UInt8[np.ndarray, "h w 3"]) -> list[FrameTimecode]:
        """Take in the next frame (BGR); the cuts that are sure now."""
        colours = histogram(picture)
        if self.last is None:
            self.last = colours
            return []
        self.steps.append((when, float(np.abs(colours - self.last).sum() / 2)))
        self.last = colours
        return self._cut(len(self.steps) - 1 - REACH)

    def post_process(self, when: FrameTimecode) -> list[FrameTimecode]:
        """Cuts among the last frames, whose neighbours never came."""
        first = max(len(self.steps) - REACH, 0)
        return [cut for place in range(first, len(self.steps)) for cut in self._cut(place)]

    def _cut(self, place: int) -> list[FrameTimecode]:
        if place < 0:
            return []
        when, change = self.steps[place]
        near = range(max(place - REACH, 0), min(place + REACH + 1, len(self.steps)))
        others = max((self.steps[k][1] for k in near if k != place), default=0.0)
        return [when] if change >= CHANGE and change >= TIMES * others else []


def histogram(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "b b b"]:
    """Parts of the picture by colour, smoothed along each axis."""
    counts = cv2.calcHist([picture], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if k == axis else (0, 0) for k in range(3)])
        left, middle, right = (np.take(padded, np.arange(BINS) + shift, axis=axis) for shift in range(3))
        counts = (left + 2 * middle + right) / 4
    return counts / (picture.shape[0] * picture.shape[1])
