"""Camera path by phase correlation of neighbouring frames: shake (jerk of the path) and drift (its mean
velocity).

The paper finds jitter by counting shots (scores/jitter.py); shake is our own column beside it, since a
shaking clip whose neighbouring frames resemble each other has no cut to count. A camera moves everything that
has structure: where most of it stays, the camera stands and something else moves. Where structure covers too
little of the picture to tell an object from the camera, the path counts only as far as it jerks along both
axes, as hands do and bounces do not.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from curation.footage import Observer, Seen

TRUST = 0.1  # response of the correlation (0 to 1) below which a shift is not believed
STRUCTURE = 2.0  # levels of luma per pixel: where a move would show
STILL = 2.5  # levels by which such a pixel may change while nothing moves: compression moves it by less
STANDS = 0.5  # part of the structure that stays where the camera surely stands
VOTE = 1.5  # levels by which a pixel must agree better with one view than with the other to vote for it
CELLS = 8  # along each side: how widely structure is spread
SPREAD = 0.4  # part of the cells that must have structure to speak for the whole picture


class Step(NamedTuple):
    """Shift of the picture between two frames, in parts of its sides; sure: it was the camera's."""

    dx: float
    dy: float
    sure: bool


class CameraPath(Observer):
    """Shifts are read from pictures of at most 64 pixels: coarse motion of the whole frame."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.last: Float[np.ndarray, "h w"] | None = None
        self.steps: list[Step] = []

    def see(self, seen: Seen) -> None:
        small = seen.small.astype(np.float32)
        if self.last is not None and self.last.shape == small.shape and min(small.shape) >= CELLS:
            self.steps.append(_step(self.last, small))
        self.last = small

    def result(self) -> dict[str, float | None]:
        if not self.steps or self.seconds <= 0:
            return {"shake": 0.0, "drift_x": 0.0, "drift_y": 0.0}
        shifts = np.array([(step.dx, step.dy) for step in self.steps])
        drift = shifts.sum(axis=0) / self.seconds
        return {"shake": self._shake(shifts), "drift_x": float(drift[0]), "drift_y": float(drift[1])}

    def _shake(self, shifts: Float[np.ndarray, "t 2"]) -> float:
        """Median change of velocity per step, in per mille of the sides (of the lesser axis where it is not
        sure)."""
        if len(shifts) < 2:
            return 0.0
        jerks = np.abs(np.diff(shifts, axis=0))
        sure = np.array([step.sure for step in self.steps])
        whole = np.hypot(*jerks.T) / np.sqrt(2)
        return float(1000 * np.median(np.where(sure[1:] & sure[:-1], whole, jerks.min(axis=1))))


@lru_cache(maxsize=8)
def hanning(shape: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """A window that lets the edges of a picture count for little."""
    return cv2.createHanningWindow(shape[::-1], cv2.CV_32F)


def _step(last: Float[np.ndarray, "h w"], now: Float[np.ndarray, "h w"]) -> Step:
    window = hanning(last.shape)
    (dx, dy), response = cv2.phaseCorrelate(last.copy(), now.copy(), window)  # it writes into them
    if not (np.isfinite(dx) and np.isfinite(dy) and response >= TRUST):
        return Step(0.0, 0.0, False)
    structure = structure_of(last)
    if structure.any() and (np.abs(last - now)[structure] <= STILL).mean() >= STANDS:
        return Step(0.0, 0.0, True)
    structure |= structure_of(now)
    if not _moved(last, now, structure, (dx, dy)):
        return Step(0.0, 0.0, True)
    return Step(dx / last.shape[1], dy / last.shape[0], spread(structure) >= SPREAD)


def _moved(
    last: Float[np.ndarray, "h w"],
    now: Float[np.ndarray, "h w"],
    structure: Bool[np.ndarray, "h w"],
    shift: tuple[float, float],
) -> bool:
    """Whether more of the structure agrees with the shifted picture than with one that stands.

    An object that moves is a few pixels, the background behind it many.
    """
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    inside = cv2.warpAffine(np.ones_like(last), matrix, last.shape[::-1]) > 0.99
    standing = np.abs(last - now)[structure & inside]
    moving = np.abs(cv2.warpAffine(last, matrix, last.shape[::-1]) - now)[structure & inside]
    return bool((standing > moving + VOTE).sum() > (moving > standing + VOTE).sum())


def structure_of(picture: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    return (
        np.hypot(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)) / 8 >= STRUCTURE
    )


def spread(structure: Bool[np.ndarray, "h w"]) -> float:
    """Part of the cells of a coarse grid that hold structure."""
    rows, columns = (np.linspace(0, side, CELLS, endpoint=False).astype(int) for side in structure.shape)
    cells = np.logical_or.reduceat(np.logical_or.reduceat(structure, rows, axis=0), columns, axis=1)
    return float(cells.mean())
