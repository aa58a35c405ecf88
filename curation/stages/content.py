"""content: near-duplicate groups and concept clusters over all clips at once (Sec. 3.2.1). Decides nothing.

Which clip of a group stays, and how a cluster is thinned, are rules of a subset: they depend on what else was rejected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from curation.clip import COLUMNS
from curation.stage import BarrierStage, Row, resource


@dataclass(frozen=True, kw_only=True)
class Content(BarrierStage):
    """Settings of the content stage."""

    name: ClassVar[str] = "content"
    reads: ClassVar[tuple[str, ...]] = (
        "clip_id", "frames", "short_side", "sharpness", "border", "text_score", "embedding", "mirrored", "signature",
    )  # fmt: skip
    adds: ClassVar[tuple[str, ...]] = ("quality", "duplicate_group", "similarity", "cluster")

    similarity: float = 0.9
    "Cosine of features from which a pair is looked at; the paper's 0.99 belongs to SSCD"
    difference: float = 24.0
    "Largest difference of the signatures of near-duplicates, in levels of 255"
    clusters: int = 64
    "Of k-means, before merging; fewer for small sets"
    merge: float = 0.98
    "Cosine of two centroids from which their clusters are one"
    seed: int = 0
    "Of k-means"
    most_pairs: int = resource(20_000_000)
    "Candidate pairs after which the stage gives up and asks for a higher similarity"

    def open(self, root: Path) -> Callable[[pa.Table], pa.Table]:
        def content(table: pa.Table) -> pa.Table:
            rows = table.drop_columns(["embedding", "mirrored", "signature"]).to_pylist()
            measured = np.flatnonzero(table.column("embedding").is_valid().to_numpy(zero_copy_only=False))
            order = measured[np.argsort([rows[k]["clip_id"] for k in measured], kind="stable")]
            added: list[Row] = [{} for _ in rows]
            if len(order):
                subset = table.take(pa.array(order))
                plain, mirrored = _matrix(subset, "embedding"), _matrix(subset, "mirrored")
                self._mark_clusters(plain, order, added)
                self._mark_duplicates(plain, mirrored, _signatures(subset), order, rows, added)
                for k in order:
                    added[k]["quality"] = quality(rows[k])
            return pa.table(
                {name: pa.array([row.get(name) for row in added], COLUMNS[name].type) for name in self.adds}
            )

        return content

    def _mark_clusters(self, plain: np.ndarray, order: np.ndarray, added: list[Row]) -> None:
        from curation.scores.clusters import cluster

        count = max(min(self.clusters, len(order) // 8), 1)
        for k, name in zip(order, cluster(plain, count, self.merge, self.seed), strict=True):
            added[k]["cluster"] = int(name)

    def _mark_duplicates(self, plain, mirrored, signatures, order, rows, added) -> None:
        from curation.scores.duplicates import Pair, candidates, difference, groups

        best: dict[tuple[int, int], float] = {}
        for one, other, cosine in candidates(plain, mirrored, self.similarity):
            best[one, other] = max(best.get((one, other), 0.0), cosine)
            if len(best) > self.most_pairs:
                raise ValueError(
                    f"more than {self.most_pairs} pairs of clips look alike: raise content.similarity above "
                    f"{self.similarity}"
                )
        pairs = [
            Pair(one, other, cosine)
            for (one, other), cosine in sorted(best.items())
            if difference(signatures[one], signatures[other]) <= self.difference
        ]
        for members in groups(len(order), pairs):
            name = min(rows[order[m]]["clip_id"] for m in members)
            for member in members:
                added[order[member]]["duplicate_group"] = name
        for one, other, cosine in pairs:
            for member in (one, other):
                row = added[order[member]]
                row["similarity"] = max(row.get("similarity", 0.0), cosine)


def quality(row: Row) -> float:
    """Rank among copies: nothing added to the picture first, then size, then sharpness (each below 1 of the next)."""
    clean = (row["border"] or 0) == 0 and (row["text_score"] or 0) < 0.6
    sharp = np.log1p(row["sharpness"] or 0) / 20  # below 1: the variance of 8-bit luma is far under e^20
    return float(1e6 * clean + (row["short_side"] or 0) + sharp)


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    column = table.column(name).combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)


def _signatures(table: pa.Table) -> list[np.ndarray]:
    """uint8 [k s s 3] of each row; k and s are its first two bytes."""
    values = table.column("signature").to_pylist()
    return [np.frombuffer(v, np.uint8, offset=2).reshape(v[0], v[1], v[1], 3) for v in values]
