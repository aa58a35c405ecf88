"""Near-duplicates (Sec. 3.2.1): clips whose features nearly agree and whose pictures do, as they are or
mirrored.

The cosine of features alone cannot tell a copy from two objects over one background, so that it only proposes
pairs. The signature decides: tiny pictures of the same instants must agree everywhere, once one of them is
mirrored, cropped or brightened as copies are. Re-encoding moves every pixel a little; another object moves
some pixels a lot. What differs in gray at half the size differs in full, too: most pairs are turned away
there.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from curation.scores.alignment import refined, residuals
from curation.scores.crops import Pictures, Tries, likely
from curation.scores.near import Cells, Exact

EXACT = 50_000  # rows up to which all pairs are compared
PAIRS = 16_384  # compared in one block: bounds the memory of their tries
TOGETHER = 64  # alignments at once: what fits a processor's cache
LOOSE = 1.25  # times the limit: what may be left at half the size, where reading between pixels errs more
HALF = np.array([1.0, 2.0, 2.0], np.float32)  # from pixels to pixels at half the size, in a place


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


def differences(
    signatures: Sequence[UInt8[np.ndarray, "k s s 3"]], pairs: Int[np.ndarray, "m 2"], limit: float
) -> Float[np.ndarray, " m"]:
    """How much the clips of each pair of rows differ where they differ most, 0 to 255, at the best mirroring
    and cropping; infinite where a look at half the size in gray shows that it is more than `limit`."""
    found = np.full(len(pairs), np.inf, np.float32)
    kinds: dict[tuple[int, ...], list[int]] = {}
    for row, pictures in enumerate(signatures):
        kinds.setdefault(pictures.shape, []).append(row)
    for rows in kinds.values():  # pictures of another number or size are those of another clip
        place = np.full(len(signatures), -1)
        place[rows] = np.arange(len(rows))
        asked = np.flatnonzero((place[pairs] >= 0).all(axis=1))
        pictures = Pictures(np.stack([signatures[row] for row in rows]))
        for first in range(0, len(asked), PAIRS):
            some = asked[first : first + PAIRS]
            found[some] = _compared(pictures, place[pairs[some]], limit)
    return found


def _compared(pictures: Pictures, pairs: Int[np.ndarray, "m 2"], limit: float) -> Float[np.ndarray, " m"]:
    """`differences` of pairs of one block."""
    found, tries = np.full(len(pairs), np.inf, np.float32), likely(pictures, pairs)
    for first in range(0, len(tries.pair), TOGETHER):
        some = Tries(*(column[first : first + TOGETHER] for column in tries))
        whole, cut = (pictures.grays(*rows) for rows in _sides(some))
        places = refined(whole[:, :, 0], cut[:, :, 0], some.places / HALF)
        some = Tries(*(column[residuals(whole, cut, places) <= LOOSE * limit] for column in some))
        if len(some.pair):
            whole, cut = (pictures.colours(*rows) for rows in _sides(some))
            places = refined(whole.mean(axis=2), cut.mean(axis=2), some.places)
            np.minimum.at(found, some.pair, residuals(whole, cut, places))
    return found


def _sides(tries: Tries) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Rows and mirroring of the wholes, and of the cuts."""
    return (tries.whole, np.zeros_like(tries.turned)), (tries.cut, tries.turned)


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
