"""Camera motion by name (App. B.2): the sixteen classes, where the picture shows enough to tell them.

Where points can be followed all over the picture, a camera that goes somewhere is told from one that turns or
zooms by parallax (curation/scores/parallax.py). Everywhere else, and for a camera that stands or shakes, a
similarity of neighbouring pictures is fitted a few times a second: shift and magnification tell pan, tilt and
zoom in two directions each, static and handheld shots, and a truck has the name of a pan. The fit is robust:
what moves by itself is given little weight, and where structure covers too little of the picture to tell an
object from the camera, the camera is taken to stand.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from curation.footage import Observer, Seen
from curation.reduced import shrink
from curation.scores import parallax
from curation.scores.camera import CELLS, SPREAD, STANDS, STILL, TRUST, hanning, spread, structure_of
from curation.scores.tracks import SIDE, Follower

PER_SECOND = 4.0  # fits: the path of a camera is smooth
ROUNDS = 4  # of Gauss-Newton
NOISE = 3.0  # levels of luma by which a pixel that the camera explains may be off
MIN_SHIFT = 0.12  # sides of the frame that the picture must move by for a pan or a tilt
MIN_ZOOM = 0.12  # natural logarithm of the magnification
TOLD = 0.3  # confidence of parallax under which things that go by themselves explain it as well
STEADY = 0.6  # part of the camera's way that must go in one direction
WANDERING = 0.03  # sides of the frame per second without a direction: a hand
EVEN = 0.5  # spread of the velocity over its mean up to which a motion is even, as a machine's


class Move(NamedTuple):
    """The picture's change between two looks, seen from the middle."""

    x: float
    "Shift in parts of the width"
    y: float
    zoom: float
    "Natural logarithm of the magnification"
    sure: bool
    "The picture has enough structure to tell"
    explained: bool
    "Nothing else moved"


STILL_MOVE = Move(0.0, 0.0, 0.0, False, False)


class CameraMotion(Observer):
    """camera_motion: its name; camera_confidence: 0 to 1; ken_burns: part of the looks in which the picture
    moves evenly and as one piece, as a photograph under a moving frame does."""

    def __init__(self, fps: float, seconds: float):
        self.every, self.seconds = max(round(fps / PER_SECOND), 1), seconds
        self.last: Float[np.ndarray, "h w"] | None = None
        self.moves: list[Move] = []
        self.points, self.sides = Follower(), (1.0, 1.0)

    def see(self, seen: Seen) -> None:
        if seen.index % self.every:
            return
        small = cv2.GaussianBlur(seen.small, (3, 3), 0).astype(np.float32)
        if self.last is not None and self.last.shape == small.shape and min(small.shape) >= CELLS:
            self.moves.append(fit(self.last, small))
            self.sides = small.shape[1] / max(small.shape), small.shape[0] / max(small.shape)
        self.points.see(shrink(seen.luma, SIDE))
        self.last = small

    def result(self) -> dict[str, str | float | None]:
        if not self.moves or self.seconds <= 0:
            return {"camera_motion": None, "camera_confidence": None, "ken_burns": None}
        name, confidence = self._parallax() or classify(self.moves, self.seconds)
        return {"camera_motion": name, "camera_confidence": confidence, "ken_burns": _ken_burns(self.moves)}

    def _parallax(self) -> tuple[str, float] | None:
        """What the points tell, if they could be followed for most of the time."""
        self.points.finish()
        told = len(self.points.done) > self.points.skipped
        found = parallax.classify(self.points.done, self.sides) if told else None
        return found if found and found[1] >= TOLD else None


def classify(moves: list[Move], seconds: float) -> tuple[str, float]:
    """The name of a camera's path as far as shift and magnification tell it, and how sure it is."""
    ways = np.array([(move.x / MIN_SHIFT, move.y / MIN_SHIFT, move.zoom / MIN_ZOOM) for move in moves])
    total, length = ways.sum(axis=0), np.abs(ways).sum(axis=0)
    axis = int(np.abs(total).argmax())
    known = float(np.mean([move.sure for move in moves]))
    if abs(total[axis]) >= 1 and abs(total[axis]) >= STEADY * length[axis]:
        positive, negative = (("pan left", "pan right"), ("tilt up", "tilt down"), ("zoom in", "zoom out"))[
            axis
        ]
        share = abs(total[axis]) / np.abs(total).sum()  # of the motion along this axis
        return (positive if total[axis] > 0 else negative), float(share * abs(total[axis]) / length[axis])
    wandering = MIN_SHIFT * float(np.hypot(ways[:, 0], ways[:, 1]).sum()) / seconds
    if wandering >= WANDERING:
        return "handheld shot", min(wandering / (2 * WANDERING), 1.0) * known
    return "static shot", (1 - wandering / WANDERING) * max(known, 0.5)


def fit(last: Float[np.ndarray, "h w"], now: Float[np.ndarray, "h w"]) -> Move:
    """The similarity that carries one picture into the next."""
    structure = structure_of(last)
    if not structure.any():
        return STILL_MOVE
    standing = np.abs(last - now)
    wide = spread(structure) >= SPREAD
    if (standing[structure] <= STILL).mean() >= STANDS or not wide:
        return Move(0.0, 0.0, 0.0, wide, False)
    parameters = _gauss_newton(last, now)
    moving, inside = _moved(last, now, parameters)
    seen = structure & inside
    if not seen.any() or moving[seen].mean() > 0.8 * standing[seen].mean():
        return Move(0.0, 0.0, 0.0, wide, False)  # no better than a camera that stands
    height, width = last.shape
    x, y, zoom = (float(value) for value in parameters)
    return Move(x / width, y / height, zoom, wide, bool(np.percentile(moving[seen], 95) <= NOISE))


def _gauss_newton(last: Float[np.ndarray, "h w"], now: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "3"]:
    """Shift in pixels and log magnification, from the shift of the phase correlation on."""
    height, width = last.shape
    (x, y), response = cv2.phaseCorrelate(last.copy(), now.copy(), hanning(last.shape))
    found = np.array([x, y, 0.0]) if np.isfinite([x, y]).all() and response >= TRUST else np.zeros(3)
    slope_x, slope_y = cv2.Sobel(last, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(last, cv2.CV_32F, 0, 1) / 8
    across = np.arange(width, dtype=np.float32) - (width - 1) / 2
    down = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    slopes = np.stack([slope_x, slope_y, slope_x * across + slope_y * down]).reshape(3, -1)
    for _ in range(ROUNDS):
        carried = _carried(now, found)
        gap = (last - carried).ravel()
        scale = max(1.5 * float(np.median(np.abs(gap))), NOISE)
        weight = 1 / (1 + (gap / scale) ** 2) ** 2  # Geman-McClure: what moves by itself hardly counts
        normal = (slopes * weight) @ slopes.T
        normal += np.diag(1e-3 * normal.diagonal() + 1e-6)
        found = found + np.linalg.solve(normal, (slopes * weight) @ gap)
    return found


def _carried(now: Float[np.ndarray, "h w"], parameters: Float[np.ndarray, "3"]) -> Float[np.ndarray, "h w"]:
    """`now` taken back to where `last` was."""
    height, width = now.shape
    scale = np.exp(parameters[2])
    matrix = np.array([
        [scale, 0, parameters[0] + (1 - scale) * (width - 1) / 2],
        [0, scale, parameters[1] + (1 - scale) * (height - 1) / 2],
    ])  # fmt: skip
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(now, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _moved(
    last: Float[np.ndarray, "h w"], now: Float[np.ndarray, "h w"], parameters: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """What the fit leaves unexplained, and the pixels that both pictures show."""
    inside = _carried(np.ones_like(now), parameters) > 0.99
    x, y, _ = parameters
    height, width = now.shape
    columns, rows = np.arange(width) + x, (np.arange(height) + y)[:, None]
    inside &= (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    return np.abs(last - _carried(now, parameters)), inside


def _ken_burns(moves: list[Move]) -> float:
    """Part of the looks that one even motion of the whole picture explains; 0 where the camera stands."""
    velocity = np.array([(move.x, move.y, move.zoom) for move in moves])
    speed = np.abs(velocity).max(axis=1)
    axis = int(np.abs(velocity.sum(axis=0)).argmax())
    along = velocity[:, axis]
    if abs(along.sum()) < MIN_SHIFT / 3 or along.std() > EVEN * abs(along.mean()):
        return 0.0
    return float(np.mean([move.explained and fast > 0 for move, fast in zip(moves, speed, strict=True)]))
