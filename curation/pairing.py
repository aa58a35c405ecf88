"""Cross-paired references over a run (Sec. 4.2.1): for each clip that is kept, others of the same person, and
pictures that an image model made of that person."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from curation.scores.face_pairs import CrossPairing, cross_pairs
from curation.stage import Row
from curation.stages.shards import val_sources

FILE = "face_pairs.parquet"  # in the output folder
COLUMNS = ("clip_id", "sha256", "source", "face_embedding", "face_view")  # what it needs of each clip
SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("kind", pa.string()),  # real: another clip; synthetic: a generated picture
        ("reference", pa.string()),  # its clip_id, or the picture's path in its folder
        ("cosine", pa.float64()),
        ("view", pa.float64()),
        ("source", pa.string()),
        ("reference_source", pa.string()),
        ("split", pa.string()),
    ]
)


def pair(clips: Sequence[Row], rules: CrossPairing, val_fraction: float) -> pa.Table:
    """The pairs among kept `clips` (rows with `COLUMNS`). Those of sources that shards hold out are paired
    with each other alone, so that no reference in training is from a held-out video."""
    held_out = val_sources({row["sha256"] for row in clips}, val_fraction)
    rows: list[Row] = []
    for split in ("train", "val"):
        side = [
            row
            for row in sorted(clips, key=lambda row: row["clip_id"])
            if row["face_embedding"] is not None and (row["sha256"] in held_out) == (split == "val")
        ]
        if side:
            rows += [{**found, "kind": "real", "split": split} for found in _pairs_of(side, rules)]
    return pa.Table.from_pylist(rows, SCHEMA)


def generated(clips: Sequence[Row], pairs: Sequence[Row], val_fraction: float) -> pa.Table:
    """Synthetic `pairs` (curation.synthetic) of kept `clips` as a table; a pair is held out with its clip."""
    held_out = val_sources({row["sha256"] for row in clips}, val_fraction)
    of = {row["clip_id"]: row for row in clips}
    rows = [
        {
            **found,
            "kind": "synthetic",
            "source": of[found["clip_id"]]["source"],
            "reference_source": found["reference"],
            "split": "val" if of[found["clip_id"]]["sha256"] in held_out else "train",
        }
        for found in pairs
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def _pairs_of(clips: Sequence[Row], rules: CrossPairing) -> list[Row]:
    embeddings = np.array([row["face_embedding"] for row in clips], np.float32)
    views = np.array([row["face_view"] for row in clips], np.float32)
    return [
        {
            "clip_id": clips[found.clip]["clip_id"],
            "reference": clips[found.reference]["clip_id"],
            "cosine": found.cosine,
            "view": found.view,
            "source": clips[found.clip]["source"],
            "reference_source": clips[found.reference]["source"],
        }
        for found in cross_pairs(embeddings, views, [row["clip_id"] for row in clips], rules)
    ]
