"""What is left between the tiny pictures of two clips when one lies as well as it can inside the other.

A cropped copy lies between pixels, at a size between those that were tried; its edges would differ as much as
another object's. The place and size are therefore refined by Gauss-Newton, for all pictures together, and
kept inside the larger picture: an object that stands elsewhere before a plain wall would need more room.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

ROUNDS = 5  # of Gauss-Newton
STEP = (1.0, 1.0, 0.04)  # most that a round moves: pixels right and down, part of the size
STEADY = (
    10.0  # levels from which a pixel's difference pulls no harder: an object must not drag the background
)
SLACK = 0.25  # pixels by which a crop may seem to leave the picture that it is from
SMALLEST = 0.74  # part of each side that is looked for
WORST = 98.0  # percentile of the differences that must be small: an object is more than the rest


class Place(NamedTuple):
    """Where a smaller picture lies in a larger one, in pixels of the larger."""

    part: float
    "Of each side"
    left: float
    top: float


def residual(whole: Float[np.ndarray, "k s s 3"], cut: Float[np.ndarray, "k s s 3"], start: Place) -> float:
    """A high percentile of the difference at the best place near `start`, brightness made equal.

    The differences are averaged over 3 x 3 pixels with their signs first: what coding adds is gone then,
    another object is not.
    """
    place = refined(whole.mean(axis=3), cut.mean(axis=3), start)
    gap = _gap(whole, cut, place)
    gap -= np.median(gap, axis=(1, 2), keepdims=True)
    soft = [np.abs(cv2.blur(picture, (3, 3))).max(axis=2) for picture in gap]
    return float(np.percentile(np.stack(soft), WORST))


def refined(whole: Float[np.ndarray, "k s s"], cut: Float[np.ndarray, "k s s"], start: Place) -> Place:
    """The place near `start` where gray pictures differ least in squares, large differences counted less."""
    side = whole.shape[1]
    place = _inside(start, side)
    for _ in range(ROUNDS):
        rows, columns = _covered(place.top, place.part, side), _covered(place.left, place.part, side)
        laid = _lay(cut, place)
        gap = (whole - laid)[:, rows, columns]
        gap -= np.median(gap, axis=(1, 2), keepdims=True)
        down, right = (slope[:, rows, columns] for slope in np.gradient(laid, axis=(1, 2)))
        middle = place.part * side / 2 - 0.5
        y = np.arange(side)[rows][None, :, None] - place.top - middle
        x = np.arange(side)[columns][None, None, :] - place.left - middle
        slopes = np.stack([right, down, right * x + down * y], axis=-1).reshape(-1, 3)
        pull = slopes / np.maximum(1.0, np.abs(gap).reshape(-1, 1) / STEADY)
        step = -np.linalg.solve(pull.T @ slopes + 1e-3 * np.eye(3), pull.T @ gap.ravel())
        step = np.clip(step, np.negative(STEP), STEP)
        part = place.part * (1 + step[2])
        grown = (part - place.part) * side / 2
        place = _inside(Place(part, place.left + step[0] - grown, place.top + step[1] - grown), side)
    return place


def _inside(place: Place, side: int) -> Place:
    """The nearest place that does not leave the larger picture."""
    part = float(np.clip(place.part, SMALLEST, 1.0))
    most = side * (1 - part) + SLACK
    return Place(part, float(np.clip(place.left, -SLACK, most)), float(np.clip(place.top, -SLACK, most)))


def _gap(
    whole: Float[np.ndarray, "k s s 3"], cut: Float[np.ndarray, "k s s 3"], place: Place
) -> Float[np.ndarray, "k h w 3"]:
    """The difference in colour where the smaller picture covers the larger."""
    side = whole.shape[1]
    rows, columns = _covered(place.top, place.part, side), _covered(place.left, place.part, side)
    laid = np.stack([_lay(cut[..., channel], place) for channel in range(3)], axis=-1)
    return np.ascontiguousarray((whole - laid)[:, rows, columns])


def _lay(cut: Float[np.ndarray, "k s s"], place: Place) -> Float[np.ndarray, "k s s"]:
    """The pictures of a cut on the grid of the larger pictures; their edges go on outside."""
    side = cut.shape[1]
    return _reading(side, place.top, place.part) @ cut @ _reading(side, place.left, place.part).T


def _reading(side: int, first: float, part: float) -> Float[np.ndarray, "s s"]:
    """Weights that read a row of the cut, linearly between its pixels, at each pixel of the larger."""
    at = np.clip((np.arange(side) + 0.5 - first) / part - 0.5, 0, side - 1)
    low = np.minimum(at.astype(int), side - 2)
    weights = np.zeros((side, side), np.float32)
    weights[np.arange(side), low] = 1 - (at - low)
    weights[np.arange(side), low + 1] = at - low
    return weights


def _covered(first: float, part: float, side: int) -> slice:
    """The pixels of the larger picture whose centres lie between centres of the smaller one."""
    low = int(np.ceil(first + part / 2 - 0.5 - SLACK))
    high = int(np.floor(first + part * (side - 0.5) - 0.5 + SLACK))
    return slice(max(low, 0), min(high, side - 1) + 1)
