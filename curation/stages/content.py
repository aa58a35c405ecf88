"""content: near-duplicate groups and concept clusters over all clips at once (Sec. 3.2.1). Decides nothing.

Which clip of a group stays, and how a cluster is thinned, are rules of a subset: they depend on what else was
rejected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from console import UserError
from curation.clip import COLUMNS
from curation.stage import BarrierStage, Row, resource

if TYPE_CHECKING:
    from curation.scores.duplicates import Pair


@dataclass(frozen=True, kw_only=True)
class Content(BarrierStage):
    """Settings of the content stage."""

    name: ClassVar[str] = "content"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (
        "clip_id", "frames", "short_side", "sharpness", "border", "text_score", "embedding",
        "mirrored", "signature", "bytes",
        "file_seconds", "file_fps", "width", "height",
    )  # fmt: skip
    adds: ClassVar[tuple[str, ...]] = ("quality", "duplicate_group", "similarity", "cluster")

    similarity: float = 0.82
    "Cosine of features from which a pair is looked at; the paper's 0.99 belongs to SSCD"
    difference: float = 16.0
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
                self._mark_clusters(matrix(subset, "embedding"), order, added)
                pairs = near_duplicates(subset, self)
                mark_groups(pairs, [rows[k]["clip_id"] for k in order], [added[k] for k in order])
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


def near_duplicates(table: pa.Table, stage: Content) -> list["Pair"]:
    """Pairs of rows of a table with embedding, mirrored and signature that show the same, in order."""
    from curation.scores.duplicates import Pair, Signature, candidates, difference

    best: dict[tuple[int, int], float] = {}
    plain, mirrored = matrix(table, "embedding"), matrix(table, "mirrored")
    for one, other, cosine in candidates(plain, mirrored, stage.similarity):
        best[one, other] = max(best.get((one, other), 0.0), cosine)
        if len(best) > stage.most_pairs:
            raise UserError(
                f"More than {stage.most_pairs} pairs of clips look alike. Raise content.similarity above "
                f"{stage.similarity}."
            )
    looked_at = sorted({row for pair in best for row in pair})
    pictures = _signatures(table.take(pa.array(looked_at, pa.int64())))
    ready = dict(zip(looked_at, map(Signature, pictures), strict=True))
    return [
        Pair(one, other, cosine)
        for (one, other), cosine in sorted(best.items())
        if difference(ready[one], ready[other]) <= stage.difference
    ]


def mark_groups(pairs: list["Pair"], clips: list[str], added: list[Row]) -> None:
    """Name each connected group after its first clip_id and note each member's largest cosine."""
    from curation.scores.duplicates import groups

    for members in groups(len(clips), pairs):
        name = min(clips[member] for member in members)
        for member in members:
            added[member]["duplicate_group"] = name
    for one, other, cosine in pairs:
        for member in (one, other):
            added[member]["similarity"] = max(added[member].get("similarity", 0.0), cosine)


def quality(row: Row) -> float:
    """Rank among copies: first whether anything was added to the picture, then its size, then what is left of
    the original after copying: bits per pixel and sharpness, as a sum of logarithms below 1."""
    clean = (row["border"] or 0) <= 0.02 and (row["text_score"] or 0) < 0.6
    pixels = row["width"] * row["height"] * max(row["file_seconds"] * row["file_fps"], 1.0)
    kept = np.log1p(row["sharpness"] or 0) + np.log1p(1000 * 8 * row["bytes"] / pixels)
    return float(1e6 * clean + (row["short_side"] or 0) + kept / 40)


def matrix(table: pa.Table, name: str) -> np.ndarray:
    """float32 [n d] of a column of vectors of one length, without nulls."""
    column = table.column(name).combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)


def _signatures(table: pa.Table) -> list[np.ndarray]:
    """uint8 [k s s 3] of each row; k and s are its first two bytes."""
    values = table.column("signature").to_pylist()
    return [np.frombuffer(v, np.uint8, offset=2).reshape(v[0], v[1], v[1], 3) for v in values]
