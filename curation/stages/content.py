"""content: near-duplicate groups and concept clusters over all clips at once (Sec. 3.2.1). Decides nothing.

Which clip of a group stays, and how a cluster is thinned, are rules of a subset: they depend on what else was
rejected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from console import UserError
from curation.clip import COLUMNS
from curation.stage import BarrierStage, Row, resource
from storage import hash_file

if TYPE_CHECKING:
    from curation.scores.duplicates import Pair

HEAVY = ("embedding", "mirrored", "signature", "meaning", "copy")  # columns that are read as arrays


@dataclass(frozen=True, kw_only=True)
class Content(BarrierStage):
    """Settings of the content stage."""

    name: ClassVar[str] = "content"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (
        "clip_id", "frames", "short_side", "sharpness", "border", "text_score", "embedding",
        "mirrored", "signature", "meaning", "copy", "bytes",
        "file_seconds", "file_fps", "width", "height",
    )  # fmt: skip
    adds: ClassVar[tuple[str, ...]] = (
        "quality", "duplicate_group", "similarity", "cluster", "concept", "human",
    )  # fmt: skip

    similarity: float = 0.82
    "Cosine of features from which a pair is looked at; the paper's 0.99 belongs to SSCD"
    difference: float = 16.0
    "Largest difference of the signatures of near-duplicates, in levels of 255"
    copies: float = 0.99
    "Cosine of copies where embed.copies measures them (Table 38); neither of the above counts then"
    clusters: int = 64
    "Of k-means, before merging; fewer for small sets"
    merge: float = 0.98
    "Cosine of two centroids from which their clusters are one"
    seed: int = 0
    "Of k-means"
    taxonomy: str = "configs/curation/concepts/people.yaml"
    "Concepts that are looked for where embed.clip is given; empty looks for none"
    concept_clips: int = 1000
    "Clips that each concept finds at most"
    concept_cosine: float = 0.2
    "Least cosine of a clip with the words of a concept; the paper gives none"
    clip: str = resource("")
    "The folder of embed.clip: a run fills it in"
    most_pairs: int = resource(20_000_000)
    "Candidate pairs after which the stage gives up and asks for a higher similarity"

    def __post_init__(self):
        if self.concept_clips < 1 or not -1 <= self.concept_cosine <= 1:
            raise UserError("content: concept_clips must be at least 1 and concept_cosine from -1 to 1.")

    def open(self, root: Path) -> Callable[[pa.Table], pa.Table]:
        def content(table: pa.Table) -> pa.Table:
            rows = table.drop_columns([*HEAVY]).to_pylist()
            measured = np.flatnonzero(table.column("embedding").is_valid().to_numpy(zero_copy_only=False))
            order = measured[np.argsort([rows[k]["clip_id"] for k in measured], kind="stable")]
            added: list[Row] = [{} for _ in rows]
            if len(order):
                subset = table.take(pa.array(order))
                meant = subset.column("meaning").null_count == 0
                self._mark_clusters(matrix(subset, "meaning" if meant else "embedding"), order, added)
                if meant and self.taxonomy:
                    self._mark_concepts(matrix(subset, "meaning"), order, added)
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

    def weights(self) -> dict[str, str]:
        """Of the words: those of the model are its parent's."""
        if not self.clip or not self.taxonomy:
            return {}
        from curation.scores.concepts import find_taxonomy

        return {"taxonomy": hash_file(find_taxonomy(Path(self.taxonomy)))}

    def settings(self) -> dict[str, Any]:
        """Files count by their content, wherever they lie; what nobody reads counts for nothing."""
        named = ("taxonomy", "concept_clips", "concept_cosine")
        found = {key: value for key, value in super().settings().items() if key not in named}
        if not self.clip or not self.taxonomy:
            return found
        return {**found, "concept_clips": self.concept_clips, "concept_cosine": self.concept_cosine}

    def _mark_concepts(self, meanings: np.ndarray, order: np.ndarray, added: list[Row]) -> None:
        from curation.scores.concepts import read_taxonomy, retrieve
        from curation.scores.meaning import JointSpace

        concepts = read_taxonomy(Path(self.taxonomy))
        texts = JointSpace(Path(self.clip)).texts([concept.text for concept in concepts])
        human = np.array([concept.human for concept in concepts])
        found = retrieve(meanings, texts, human, self.concept_clips, self.concept_cosine)
        for k, concept, person in zip(order, found.concept.tolist(), found.human.tolist(), strict=True):
            added[k] |= {"concept": concepts[concept].name if concept >= 0 else None, "human": person}


def near_duplicates(table: pa.Table, stage: Content) -> list["Pair"]:
    """Pairs of rows that show the same, in order: by `copy` where a table has it, else by embedding, mirrored
    and signature."""
    from curation.scores.duplicates import Pair, candidates, differences

    best: dict[tuple[int, int], float] = {}
    sure = table.column("copy").null_count == 0
    plain, mirrored = (
        matrix(table, name) for name in (("copy", "copy") if sure else ("embedding", "mirrored"))
    )
    for one, other, cosine in candidates(plain, mirrored, stage.copies if sure else stage.similarity):
        best[one, other] = max(best.get((one, other), 0.0), cosine)
        if len(best) > stage.most_pairs:
            raise UserError(
                f"More than {stage.most_pairs} pairs of clips look alike. Raise content.similarity "
                f"({stage.similarity}) or, with embed.copies, content.copies ({stage.copies})."
            )
    if sure:
        return [Pair(one, other, cosine) for (one, other), cosine in sorted(best.items())]
    pairs = np.array(sorted(best), np.int64).reshape(-1, 2)
    rows, within = np.unique(pairs, return_inverse=True)
    gaps = differences(_signatures(table.take(pa.array(rows))), within.reshape(-1, 2), stage.difference)
    return [Pair(one, other, best[one, other]) for one, other in pairs[gaps <= stage.difference].tolist()]


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
