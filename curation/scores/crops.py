"""Where the tiny pictures of one clip may lie inside those of another: a look at half the size, in gray.

Crops of a few sizes are laid on every whole pixel, as they are and mirrored. The sums of squares of one clip
with all that it is compared with are a matrix product of its windows with their reduced pictures.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.lib.stride_tricks import sliding_window_view

CROPS = (1.0, 0.95, 0.9, 0.86, 0.82, 0.78)  # part of each side of the picture that a copy may keep
COARSE = 9.0  # root mean square of the gray difference at half the size above which two are not alike
UNLIKE = (
    0.5  # the same as a part of the pictures' own deviation: a crop between the sizes tried is as far off
)
REFINED = 4  # crops that are looked at more closely, after all were at half the size


class Pictures:
    """The tiny pictures of clips, made ready for comparison once: soft, and small in gray."""

    def __init__(self, pictures: UInt8[np.ndarray, "n k s s 3"]):
        soft = [np.stack([cv2.GaussianBlur(p, (3, 3), 0) for p in clip]) for clip in pictures]
        self.soft = np.ascontiguousarray(np.stack(soft).transpose(0, 1, 4, 2, 3))
        gray = self.soft.mean(axis=2, dtype=np.float32)
        half = _reduced(gray, round(gray.shape[-1] * 0.5))
        self.half = half - half.mean(axis=(2, 3), keepdims=True)  # copies may be brightened
        "float32 [n k h h]"
        self.contrast = self.half.std(axis=(1, 2, 3))
        sides = {round(self.half.shape[-1] * part) for part in CROPS}
        self.cuts = {side: _reduced(self.half, side).reshape(len(half), -1) for side in sides}
        self.energy = {side: np.square(cuts).sum(axis=1) for side, cuts in self.cuts.items()}

    def colours(
        self, rows: Int[np.ndarray, " b"], turned: Bool[np.ndarray, " b"]
    ) -> Float[np.ndarray, "b k 3 s s"]:
        """Soft pictures of some clips, some of them mirrored."""
        return _turn(self.soft[rows].astype(np.float32), turned)

    def grays(
        self, rows: Int[np.ndarray, " b"], turned: Bool[np.ndarray, " b"]
    ) -> Float[np.ndarray, "b k 1 h h"]:
        """The same in gray at half the size."""
        return _turn(self.half[rows][:, :, None], turned)


class Tries(NamedTuple):
    """Ways to lay one clip into another that are worth a closer look, in the order of their pairs."""

    pair: Int[np.ndarray, " t"]
    whole: Int[np.ndarray, " t"]
    cut: Int[np.ndarray, " t"]
    turned: Bool[np.ndarray, " t"]
    "Whether the cut is mirrored"
    places: Float[np.ndarray, "t 3"]
    "Part, left and top, in pixels of the full size"


def likely(pictures: Pictures, pairs: Int[np.ndarray, "m 2"]) -> Tries:
    """The best few ways to lay one clip of each pair into the other; none where it is not alike at any."""
    directed = np.concatenate([pairs, pairs[:, ::-1]])  # the first is the whole, the second the cut
    mean, spot = (np.empty((len(directed), len(CROPS), 2), kind) for kind in (np.float32, np.int16))
    order = np.argsort(directed[:, 0], kind="stable")
    edges = np.flatnonzero(np.diff(directed[order, 0])) + 1
    for rows in np.split(order, edges) if len(order) else []:
        mean[rows], spot[rows] = _least(pictures, directed[rows[0], 0], directed[rows, 1])
    mean[len(pairs) :, CROPS.index(1.0)] = np.inf  # the other way round it is the same
    ways = mean.reshape(2, len(pairs), len(CROPS), 2).transpose(1, 2, 0, 3).reshape(-1, 4 * len(CROPS))
    best = np.argsort(ways, axis=1, kind="stable")[:, :REFINED]
    enough = np.maximum(COARSE, UNLIKE * pictures.contrast[pairs].min(axis=1)) ** 2
    pair, rank = np.nonzero(np.take_along_axis(ways, best, 1) <= enough[:, None])
    part, way, turn = np.unravel_index(best[pair, rank], (len(CROPS), 2, 2))
    at = spot[way * len(pairs) + pair, part, turn]
    room = np.array([_room(pictures, part) for part in CROPS])[part]
    places = np.stack([np.array(CROPS)[part], 2.0 * (at % room), 2.0 * (at // room)], axis=1)
    whole, cut = directed[way * len(pairs) + pair].T
    return Tries(pair, whole, cut, turn.astype(bool), places.astype(np.float32))


def _least(
    pictures: Pictures, whole: int, cuts: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n p 2"], Int[np.ndarray, "n p 2"]]:
    """The least mean of squares of each cut of each size, as it is and mirrored, and its window."""
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for side, small in pictures.cuts.items():
        windows = sliding_window_view(pictures.half[whole], (side, side), axis=(1, 2))
        windows = windows.transpose(1, 2, 0, 3, 4)  # those of one place together
        both = np.concatenate([windows, windows[..., ::-1]]).reshape(-1, small.shape[1])
        product = (small[cuts] @ both.T).reshape(len(cuts), 2, -1)
        energy = np.square(windows).sum(axis=(2, 3, 4)).ravel()
        squares = energy - 2 * product + pictures.energy[side][cuts, None, None]
        found[side] = np.maximum(squares.min(axis=2), 0) / small.shape[1], squares.argmin(axis=2)
    sides = [round(pictures.half.shape[-1] * part) for part in CROPS]
    means, spots = (np.stack([found[side][k] for side in sides], axis=1) for k in (0, 1))
    return means, spots


def _room(pictures: Pictures, part: float) -> int:
    """Whole pixels at half the size where a crop may begin."""
    return pictures.half.shape[-1] - round(pictures.half.shape[-1] * part) + 1


def _reduced(pictures: Float[np.ndarray, "n k s s"], side: int) -> Float[np.ndarray, "n k r r"]:
    if side == pictures.shape[-1]:
        return pictures
    small = [[cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in clip] for clip in pictures]
    return np.array(small, np.float32)


def _turn(
    pictures: Float[np.ndarray, "b k c s s"], turned: Bool[np.ndarray, " b"]
) -> Float[np.ndarray, "b k c s s"]:
    return np.where(turned[:, None, None, None, None], pictures[..., ::-1], pictures)
