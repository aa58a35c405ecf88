"""Near-duplicates (Sec. 3.2.1): clips whose features nearly agree and whose pictures do, as they are or mirrored.

The cosine of features alone cannot tell a copy from two objects over one background, so that it only proposes pairs.
The signature decides: tiny pictures of the same instants must agree everywhere, once one of them is mirrored, cropped or
brightened as copies are. Re-encoding moves every pixel a little; another object moves some pixels a lot.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import faiss
import numpy as np
from jaxtyping import Float, UInt8

BLOCK = 1024  # queries per search: bounds the memory of the pairs
CROPS = (1.0, 0.95, 0.9, 0.85, 0.8)  # parts of the picture's sides that a copy may keep
WORST = 98.0  # percentile of the pixel differences that must be small
INNER = 0.06  # part of each side left out of the comparison: bars, resampling of edges


class Pair(NamedTuple):
    """Two rows that show the same, and the cosine of their features."""

    one: int
    other: int
    similarity: float


def candidates(
    plain: Float[np.ndarray, "n d"], mirrored: Float[np.ndarray, "n d"], similarity: float
) -> Iterator[Pair]:
    """Pairs of rows whose features have at least that cosine, with the other as it is or mirrored; exact search."""
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
                    if first + k < row:
                        yield Pair(first + k, row, min(cosine, 1.0))


def difference(one: UInt8[np.ndarray, "k s s 3"], other: UInt8[np.ndarray, "k s s 3"]) -> float:
    """How much two signatures differ where they differ most, 0 to 255, at the best mirroring and cropping."""
    best = np.inf
    for first, second in ((one, other), (other, one)):
        for turned in (second, second[:, :, ::-1]):
            for part in CROPS:
                best = min(best, _worst(_crop(first, part), turned))
                if best < 1:
                    return float(best)
    return float(best)


def _worst(one: Float[np.ndarray, "k s s 3"], other: UInt8[np.ndarray, "k s s 3"]) -> float:
    """A high percentile of the difference, after the mean brightness of each picture is made equal."""
    if len(one) != len(other):
        return np.inf
    margin = max(round(INNER * other.shape[1]), 1)
    gap = one.astype(np.float32) - other.astype(np.float32)
    gap = gap[:, margin:-margin, margin:-margin]
    gap -= np.median(gap, axis=(1, 2), keepdims=True)
    return float(np.percentile(np.abs(gap).max(axis=3), WORST))


def _crop(pictures: UInt8[np.ndarray, "k s s 3"], part: float) -> np.ndarray:
    """The middle `part` of each picture at the size of the whole."""
    if part == 1.0:
        return pictures
    side = pictures.shape[1]
    edge = side * (1 - part) / 2
    matrix = np.array([[part, 0, edge + (part - 1) / 2], [0, part, edge + (part - 1) / 2]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(p, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
                     for p in pictures])  # fmt: skip


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
