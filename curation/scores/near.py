"""Near vectors: all pairs above a cosine, exactly or among very many, and the k nearest of a few.

Among very many, vectors are put into the cells of k-means (an inverted file); each is compared with the
vectors of the cells next to it, as matrix products. That costs n * sqrt(n) where all pairs cost n * n, and
may miss a pair across a border: `python -m benchmarks.curation_content` measures what is missed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import faiss
import numpy as np
from jaxtyping import Float, Int

ROUNDS = 8  # of k-means, which need not converge
TAUGHT = 64  # vectors per cell that k-means sees
PROBES = 8  # cells that each vector is compared with
BLOCK = 1024  # queries at once: bounds the memory of the pairs


class Near(NamedTuple):
    """Near vectors: rows of the queries, rows of the indexed, cosines; of one size."""

    query: Int[np.ndarray, " k"]
    row: Int[np.ndarray, " k"]
    cosine: Float[np.ndarray, " k"]


class Exact:
    """Vectors of length 1 that are all compared."""

    def __init__(self, rows: Float[np.ndarray, "n d"]):
        faiss.omp_set_num_threads(1)
        self.index = faiss.IndexFlatIP(rows.shape[1])
        self.index.add(rows)

    def near(self, queries: Float[np.ndarray, "m d"], similarity: float) -> Iterator[Near]:
        """Indexed vectors whose cosine with a query is at least `similarity`."""
        for first in range(0, len(queries), BLOCK):
            limits, cosines, rows = self.index.range_search(queries[first : first + BLOCK], similarity)
            counts = np.diff(limits.astype(np.int64))
            yield Near(first + np.repeat(np.arange(len(counts)), counts), rows, cosines)


def nearest(queries: Float[np.ndarray, "m d"], rows: Float[np.ndarray, "n d"], count: int) -> Near:
    """The `count` vectors of `rows` nearest to each query, nearest first, of equal ones the first."""
    found: list[Near] = []
    for number, query in enumerate(queries):
        cosines = rows @ query
        best = np.argsort(-cosines, kind="stable")[:count]
        found.append(Near(np.full(len(best), number), best, cosines[best]))
    return Near(*map(np.concatenate, zip(*found, strict=True))) if found else Near(*np.zeros((3, 0)))


class Cells:
    """Vectors of length 1, each in the cell of its nearest centroid."""

    def __init__(self, rows: Float[np.ndarray, "n d"], seed: int = 0):
        faiss.omp_set_num_threads(1)  # sums in one order: the same cells on every machine
        self.rows = rows
        self.count = max(1, 2 ** round(np.log2(2 * np.sqrt(len(rows)))))
        kmeans = faiss.Kmeans(
            rows.shape[1], self.count, niter=ROUNDS, seed=seed, spherical=True,
            max_points_per_centroid=TAUGHT, min_points_per_centroid=1,
        )  # fmt: skip
        kmeans.train(rows)
        self.index = kmeans.index
        self.homes = _by_cell(self._nearest(rows, 1), self.count)

    def near(self, queries: Float[np.ndarray, "m d"], similarity: float) -> Iterator[Near]:
        """Indexed vectors whose cosine with a query is at least `similarity`, in no order."""
        probing = _by_cell(self._nearest(queries, min(PROBES, self.count)), self.count)
        for home, visitors in zip(self.homes, probing, strict=True):
            held = self.rows[home]
            for first in range(0, len(visitors), BLOCK):
                some = visitors[first : first + BLOCK]
                cosines = queries[some] @ held.T
                one, other = np.nonzero(cosines >= similarity)
                yield Near(some[one], home[other], cosines[one, other])

    def _nearest(self, vectors: Float[np.ndarray, "m d"], count: int) -> Int[np.ndarray, "m k"]:
        return self.index.search(vectors, count)[1]


def _by_cell(cells: Int[np.ndarray, "m k"], count: int) -> list[Int[np.ndarray, " r"]]:
    """The rows of each cell, ascending, from the cells of each row."""
    order = np.argsort(cells.ravel(), kind="stable")
    edges = np.searchsorted(cells.ravel()[order], np.arange(1, count))
    return np.split(order // cells.shape[1], edges)
