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
import faiss
import numpy as np
from jaxtyping import Float, UInt8

BLOCK = 1024  # queries per search: bounds the memory of the pairs
CROPS = (1.0, 0.95, 0.9, 0.86, 0.82, 0.78)  # part of each side of the picture that a copy may keep
WORST = 96.0  # percentile of the pixel differences that must be small: an object is more than the rest
COARSE = 9.0  # root mean square of the gray difference at half the size above which two are not alike
STRUCTURE = 2.0  # levels of luma per pixel
CELLS = 8  # along each side
SPREAD = (
    0.4  # part of the cells with structure from which a crop can be told from an object that stands elsewhere
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
    """Pairs of rows whose features have at least that cosine, with the other as it is or mirrored; exact
    search."""
    faiss.omp_set_num_threads(1)
    for turned in (plain, mirrored):
        index = faiss.IndexFlatIP(plain.shape[1])
        index.add(np.ascontiguousarray(turned, np.float32))
        for first in range(0, len(plain), BLOCK):
            queries = np.ascontiguousarray(plain[first : first + BLOCK], np.float32)
            limits, cosines, rows = index.range_search(queries, similarity)
            for k in range(len(queries)):
                span = slice(limits[k], limits[k + 1])
                for row, cosine in zip(rows[span].tolist(), cosines[span].tolist(), strict=True):
                    if first + k != row:
                        yield Pair(min(first + k, row), max(first + k, row), min(cosine, 1.0))


class Signature:
    """The tiny pictures of a clip, made ready for comparison once: soft, mirrored, and small in gray."""

    def __init__(self, pictures: UInt8[np.ndarray, "k s s 3"]):
        soft = np.stack([cv2.GaussianBlur(picture, (3, 3), 0) for picture in pictures]).astype(np.float32)
        self.views = (soft, np.ascontiguousarray(soft[:, :, ::-1]))
        gray = np.ascontiguousarray(soft.mean(axis=3).transpose(1, 2, 0))  # the instants become channels
        self.structured = _spread(gray[..., 0]) >= SPREAD
        half = _reduce(gray, 0.5)
        half -= half.mean(axis=(0, 1))  # copies may be brightened
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
    for part in CROPS if one.structured and other.structured else CROPS[:1]:
        for whole, cut in ((one, other), (other, one)) if part < 1 else ((one, other),):
            for turn in (0, 1):
                template = cut.reduced[part, turn]
                least = cv2.minMaxLoc(cv2.matchTemplate(whole.coarse[0], template, cv2.TM_SQDIFF))[0]
                tries.append((max(least, 0.0) / template.size, part, whole, cut, turn))
    likely = [t for t in sorted(tries, key=lambda t: t[0])[:REFINED] if t[0] <= COARSE**2]
    return min(
        (_fit(w.views[0], c.views[turn], part).worst() for _, part, w, c, turn in likely), default=np.inf
    )


class Fit(NamedTuple):
    """Where a smaller picture lies in a larger one."""

    error: float
    "Mean squared difference there"
    gap: Float[np.ndarray, "k s s 3"]

    def worst(self) -> float:
        """A high percentile of the difference, brightness made equal."""
        gap = self.gap - np.median(self.gap, axis=(1, 2), keepdims=True)
        return float(np.percentile(np.abs(gap).max(axis=3), WORST))


def _fit(whole: Float[np.ndarray, "k s s 3"], cut: Float[np.ndarray, "k s s 3"], part: float) -> Fit:
    """`cut`, made smaller, at the place in `whole` where it fits best: one place for all pictures."""
    side = round(whole.shape[1] * part)
    small = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in cut]
    squares = np.sum(
        [cv2.matchTemplate(w, c, cv2.TM_SQDIFF) for w, c in zip(whole, small, strict=True)], axis=0
    )
    least, _, (left, top), _ = cv2.minMaxLoc(squares)
    gap = whole[:, top : top + side, left : left + side] - np.stack(small)
    return Fit(least / gap.size, gap)


def _reduce(picture: Float[np.ndarray, "s s k"], part: float) -> Float[np.ndarray, "r r k"]:
    side = round(len(picture) * part)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return small.reshape(side, side, -1)


def _spread(luma: Float[np.ndarray, "s s"]) -> float:
    """Part of the cells of a coarse grid that hold structure."""
    luma = np.ascontiguousarray(luma)
    steep = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)) / 8 >= STRUCTURE
    edges = np.linspace(0, len(luma), CELLS, endpoint=False).astype(int)
    return float(np.logical_or.reduceat(np.logical_or.reduceat(steep, edges, axis=0), edges, axis=1).mean())


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
