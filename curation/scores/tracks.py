"""Points of a picture, evenly spread, followed for about a second: what a camera's path is told from."""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

SIDE = 160  # pixels of the longer side of the pictures
CELLS = 16  # of the grid along the longer side: one point in each
LOOKS = 4  # between pictures, that a point is followed for
REACH = 9  # pixels of the window that is looked for in the next picture
LEVELS = 3  # of the pyramid: a step may be a fifth of the picture
CORNER = 2e-4  # least eigenvalue of the slopes, as OpenCV scales them: less has no place of its own
OFF = 20.0  # mean levels by which a window may differ from where it is found
SPREAD = (15, 50, 85)  # percentiles of points: what goes by itself is mostly less than that
LEAST = 20  # points that must arrive
COVERED = 0.4  # part of the grid that must have a point to speak for the whole picture


class Tracks(NamedTuple):
    """Where points are halfway, about the picture's middle, and their way; in its longer sides, y down."""

    places: Float[np.ndarray, "n 2"]
    ways: Float[np.ndarray, "n 2"]
    steps: Float[np.ndarray, "looks 3 2"]
    "From picture to picture: low, middle and high of the points"


class Follower:
    """Follows points from picture to picture, and takes new ones after `LOOKS`."""

    def __init__(self):
        self.done: list[Tracks] = []
        self.skipped = 0  # stretches with too few points to tell
        self.last: UInt8[np.ndarray, "h w"] | None = None
        self._restart(np.zeros((0, 2), np.float32))

    def see(self, picture: UInt8[np.ndarray, "h w"]) -> None:
        """The next picture, of the size of the one before; at most `SIDE` pixels are wanted."""
        if self.last is None or self.last.shape != picture.shape:
            self._restart(corners(picture))
        else:
            self._step(self.last, picture)
            if len(self.steps) == LOOKS:
                self.finish()
                self._restart(corners(picture))
        self.last = picture

    def finish(self) -> None:
        """Close the stretch that is open, if it has begun."""
        if self.last is None or not self.steps:
            return
        rows, columns = self.last.shape
        side, middle = max(rows, columns), ((columns - 1) / 2, (rows - 1) / 2)
        cells = _grid(rows, columns)[0] * _grid(rows, columns)[1]
        if len(self.now) >= COVERED * cells and self.kept.sum() >= max(LEAST, len(self.now) / 2):
            start, end = self.start[self.kept].astype(float), self.now[self.kept].astype(float)
            steps = np.array(self.steps) / side
            self.done.append(Tracks(((start + end) / 2 - middle) / side, (end - start) / side, steps))
        else:
            self.skipped += 1
        self._restart(self.now[:0])

    def _restart(self, points: Float[np.ndarray, "n 2"]) -> None:
        self.start = self.now = points
        self.kept: Bool[np.ndarray, " n"] = np.ones(len(points), bool)
        self.steps: list[Float[np.ndarray, "3 2"]] = []

    def _step(self, last: UInt8[np.ndarray, "h w"], picture: UInt8[np.ndarray, "h w"]) -> None:
        if not len(self.now):
            self.steps.append(np.zeros((3, 2)))
            return
        now = self.now[:, None]
        found, status, error = cv2.calcOpticalFlowPyrLK(
            last, picture, now, now.copy(), winSize=(REACH, REACH), maxLevel=LEVELS
        )
        before, self.now = self.now, found[:, 0]
        inside = (self.now > 1).all(axis=1) & (self.now < np.array(picture.shape[::-1]) - 2).all(axis=1)
        self.kept = self.kept & (status[:, 0] == 1) & (error[:, 0] < OFF) & inside
        ways = (self.now - before)[self.kept]
        self.steps.append(np.percentile(ways, SPREAD, axis=0) if len(ways) else np.zeros((3, 2)))


def corners(picture: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "n 2"]:
    """The best place to follow in each cell of the grid (x, y), where there is one."""
    strength = cv2.cornerMinEigenVal(picture, 3)
    down, across = _grid(*picture.shape)
    rows = np.linspace(0, picture.shape[0], down + 1).astype(int)
    columns = np.linspace(0, picture.shape[1], across + 1).astype(int)
    found = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            cell = strength[top:bottom, left:right]
            y, x = divmod(int(cell.argmax()), cell.shape[1])
            if cell[y, x] > CORNER:
                found.append((left + x, top + y))
    return np.array(found, np.float32).reshape(-1, 2)


def _grid(rows: int, columns: int) -> tuple[int, int]:
    """Cells down and across: squares."""
    cell = max(rows, columns) / CELLS
    return max(round(rows / cell), 1), max(round(columns / cell), 1)
