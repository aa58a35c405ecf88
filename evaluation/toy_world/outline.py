"""Which shape a sprite has: its coverage over all frames against each shape drawn sharp to blurred."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from evaluation.toy_world import sprites
from evaluation.toy_world.scene import SHAPES

SIDE = 48  # pixels of the picture in which sprites are compared
RADIUS = 14.0  # pixels there: of the disc that has the sprite's area
MARGIN = 3  # pixels about the mask of a sprite that may be covered in part
SCALES = (0.92, 1.0, 1.08)  # an area is not measured better
BLURS = (0.8, 1.6, 2.4, 3.4, 4.6)  # pixels in that picture: a sharp sprite to a coarsely coded one


class Cover(NamedTuple):
    """One frame's sprite."""

    distance: np.ndarray
    """Colour distance of each pixel from the background, [h w]."""
    mask: np.ndarray
    """Which pixels are the sprite's, bool [h w]."""


def name_shape(covers: Sequence[Cover]) -> str:
    """The shape whose picture, at the blur that suits it best, is nearest to the mean sprite."""
    picture = np.mean([_normalised(cover) for cover in covers], axis=0)
    error = {shape: min(_error(picture, drawn) for drawn in _drawn(shape)) for shape in SHAPES}
    return min(error, key=error.__getitem__)


def _error(picture: np.ndarray, drawn: np.ndarray) -> float:
    """Mean squared difference, at the contrast that suits `drawn` best."""
    contrast = float((picture * drawn).sum() / (drawn * drawn).sum())
    return float(((picture - contrast * drawn) ** 2).mean())


def _normalised(cover: Cover) -> np.ndarray:
    """The sprite's coverage, 0 to 1, moved and scaled to the middle and the common area, [SIDE SIDE]."""
    kernel = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    near = cv2.dilate(cover.mask.astype(np.uint8), kernel).astype(bool)
    floor = float(np.median(cover.distance[~near])) if not near.all() else 0.0
    full = float(np.median(cover.distance[cover.mask]))
    covered = np.where(near, np.clip((cover.distance - floor) / max(full - floor, 1e-6), 0.0, 1.0), 0.0)
    weight = covered.sum()
    v, u = np.mgrid[: covered.shape[0], : covered.shape[1]]
    x, y = float((u * covered).sum() / weight), float((v * covered).sum() / weight)
    scale = RADIUS / float(np.sqrt(weight / np.pi))
    middle = (SIDE - 1) / 2
    place = np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]])
    return cv2.warpAffine(covered.astype(np.float32), place, (SIDE, SIDE), flags=cv2.INTER_LINEAR)


@cache
def _drawn(shape: str) -> list[np.ndarray]:
    """Pictures [SIDE SIDE] of `shape` in all sizes and blurs."""
    radius = RADIUS * float(np.sqrt(np.pi / _unit_area(shape)))
    v, u = np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2
    pictures = []
    for scale in SCALES:
        size = radius * scale
        sharp = np.clip(0.5 - sprites.distance(shape, u / size, v / size) * size, 0.0, 1.0)
        pictures += [cv2.GaussianBlur(sharp.astype(np.float32), (0, 0), blur) for blur in BLURS]
    return pictures


def _unit_area(shape: str) -> float:
    """Area of `shape` at radius 1."""
    v, u = np.mgrid[-1.3:1.3:400j, -1.3:1.3:400j]
    return float((sprites.distance(shape, u, v) < 0).mean() * 2.6**2)
