"""Letterbox, pillarbox and frames: bars that no sampled frame paints on, ended by a straight step (App. B.1).

The paper finds borders by pixels of large first derivative and scan lines: a bar is a run of even scan lines
from an edge of the picture, equal in all frames, whose last line differs from the next by a large step along
most of its length.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from curation.footage import Observer, Seen
from curation.reduced import shrink

LONGEST = 256  # pixels: bars are wide, fine detail only costs time
EVEN = 4.0  # largest standard deviation of luma (0 to 255) along a line of a bar and between its lines
DARK = 32.0  # luma of black bars, with room for limited range and compression
STEP = 8.0  # smallest step of luma where a bar ends
STRAIGHT = 0.5  # part of the line along which the step must be there


class Borders(Observer):
    """Widest pair of bars over the frames numbered in `indices`, as a part of the frame."""

    def __init__(self, indices: Collection[int]):
        self.indices = frozenset(indices)
        self.frames: list[UInt8[np.ndarray, "h w"]] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            self.frames.append(shrink(seen.gray, LONGEST))

    def result(self) -> dict[str, float]:
        return {"border": border_of(self.frames)}


def border_of(frames: Sequence[UInt8[np.ndarray, "h w"]]) -> float:
    """Widest pair of bars that all `frames` (luma of one size) have, as a part of the frame."""
    video = np.stack([shrink(frame, LONGEST) for frame in frames]).astype(np.float32)
    return max(_pair(video), _pair(video.transpose(0, 2, 1)))


def _pair(video: Float[np.ndarray, "t h w"]) -> float:
    """Height of the bars at top and bottom together over h; one bar alone counts when it is black."""
    top, bottom = _bar(video), _bar(video[:, ::-1])
    alike = abs(float(video[:, 0].mean() - video[:, -1].mean())) <= EVEN
    dark = max(_darkness(video, top), _darkness(video[:, ::-1], bottom)) <= DARK
    if not dark and not (alike and top and bottom and abs(top - bottom) <= 2 and _framed(video)):
        return 0.0
    return (top + bottom) / video.shape[1]


def _bar(video: Float[np.ndarray, "t h w"]) -> int:
    """Lines from the top that belong to a bar, 0 where there is none."""
    level = video[:, 0].mean()
    even = (video.std(axis=2).max(axis=0) <= EVEN) & (np.abs(video.mean(axis=2) - level).max(axis=0) <= EVEN)
    lines = int(np.argmin(even)) if not even.all() else 0
    if lines < 1 or lines + 1 >= video.shape[1]:
        return 0
    beyond = video[:, lines : lines + 2]  # the step may be smeared over two lines
    steps = np.abs(beyond - level).max(axis=1) >= STEP
    return lines if steps.mean(axis=1).max() >= STRAIGHT else 0


def _darkness(video: Float[np.ndarray, "t h w"], lines: int) -> float:
    return float(video[:, :lines].mean()) if lines else 0.0


def _framed(video: Float[np.ndarray, "t h w"]) -> bool:
    """Bars of one colour at all four sides: a picture in a frame."""
    turned = video.transpose(0, 2, 1)
    return bool(_bar(turned) and _bar(turned[:, ::-1]))
