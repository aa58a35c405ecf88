"""Near-duplicates (Sec. 3.2.1): clips whose features nearly agree and whose pictures do, as they are or
mirrored.

The cosine of features alone cannot tell a copy from two objects over one background, so that it only proposes
pairs. The signature decides: tiny pictures of the same instants must agree everywhere, once one of them is
mirrored, cropped or brightened as copies are. Re-encoding moves every pixel a little; another object moves
some pixels a lot.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from curation.scores.alignment import Place, residual
from curation.scores.near import Cells, Exact

EXACT = 50_000  # rows up to which all pairs are compared
CROPS = (1.0, 0.95, 0.9, 0.86, 0.82, 0.78)  # part of each side of the picture that a copy may keep
COARSE = 9.0  # root mean square of the gray difference at half the size above which two are not alike
UNLIKE = (
    0.5  # the same as a part of the pictures' own deviation: a crop between the sizes tried is as far off
)
REFINED = 4  # crops that are looked at in full, after all were at half the size


class Pair(NamedTuple):
    """Two rows that show the same, and the cosine of their features."""

    one: int
    other: int
    similarity: float


def candidates(
    plain: Float[np.ndarray, "n d"], mirrored: Float[np.ndarray, "n d"], similarity: float
) -> Iterator[Pair]:
    """Pairs of rows whose features have at least that cosine, with one of them as it is or mirrored: all up
    to `EXACT` rows, beyond that what cells find (curation.scores.near)."""
    plain = np.ascontiguousarray(plain, np.float32)
    search = (Exact if len(plain) <= EXACT else Cells)(plain)
    for turned in (plain, np.ascontiguousarray(mirrored, np.float32)):
        for queries, rows, cosines in search.near(turned, similarity):
            apart = queries != rows
            low, high = np.minimum(queries, rows)[apart], np.maximum(queries, rows)[apart]
            found = (low.tolist(), high.tolist(), np.minimum(cosines[apart], 1.0).tolist())
            yield from map(Pair, *found)


class Signature:
    """The tiny pictures of a clip, made ready for comparison once: soft, mirrored, and small in gray."""

    def __init__(self, pictures: UInt8[np.ndarray, "k s s 3"]):
        soft = np.stack([cv2.GaussianBlur(picture, (3, 3), 0) for picture in pictures]).astype(np.float32)
        self.views = (soft, np.ascontiguousarray(soft[:, :, ::-1]))
        gray = np.ascontiguousarray(soft.mean(axis=3).transpose(1, 2, 0))  # the instants become channels
        half = _reduce(gray, 0.5)
        half -= half.mean(axis=(0, 1))  # copies may be brightened
        self.contrast = float(half.std())
        self.coarse = tuple(np.ascontiguousarray(v) for v in (half, half[:, ::-1]))
        self.reduced = {
            (part, k): _reduce(view, part) for part in CROPS for k, view in enumerate(self.coarse)
        }


def difference(one: Signature, other: Signature) -> float:
    """How much two clips differ where they differ most, 0 to 255, at the best mirroring and cropping;
    infinite where a look at half the size in gray shows that they do."""
    if one.coarse[0].shape != other.coarse[0].shape:
        return np.inf
    tries = []
    for part in CROPS:
        for whole, cut in ((one, other), (other, one)) if part < 1 else ((one, other),):
            for turn in (0, 1):
                template = cut.reduced[part, turn]
                squares = cv2.matchTemplate(whole.coarse[0], template, cv2.TM_SQDIFF)
                least, _, (left, top), _ = cv2.minMaxLoc(squares)
                place = Place(part, 2.0 * left, 2.0 * top)
                tries.append((max(least, 0.0) / template.size, place, whole, cut, turn))
    enough = max(COARSE, UNLIKE * min(one.contrast, other.contrast)) ** 2
    likely = [t for t in sorted(tries, key=lambda t: t[0])[:REFINED] if t[0] <= enough]
    return min(
        (residual(whole.views[0], cut.views[turn], place) for _, place, whole, cut, turn in likely),
        default=np.inf,
    )


def _reduce(picture: Float[np.ndarray, "s s k"], part: float) -> Float[np.ndarray, "r r k"]:
    side = round(len(picture) * part)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return small.reshape(side, side, -1)


def groups(count: int, pairs: list[Pair]) -> list[list[int]]:
    """Rows that are connected by pairs, each group sorted; lone rows are in none."""
    root = list(range(count))

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for one, other, _ in pairs:
        low, high = sorted((find(one), find(other)))
        root[high] = low
    found: dict[int, list[int]] = {}
    for row in range(count):
        found.setdefault(find(row), []).append(row)
    return [rows for rows in found.values() if len(rows) > 1]
