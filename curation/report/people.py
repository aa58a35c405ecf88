"""Persons in a report: pairs of clips that show one, from the table of `curation.run pairs`, and the
reference pictures that were cut out of clips."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation import pairing
from curation.face_references import locate, pictures
from curation.pipeline import Outcome
from curation.report.galleries import rows_of
from curation.report.strips import url

COSINES = 2  # digits


class Pair(NamedTuple):
    """A clip and another of the same person; `other` is None for a generated picture."""

    row: int
    other: int | None
    says: str


def pairs(out: Path, clips: pa.Table, count: int) -> list[Pair]:
    """Pairs spread over their cosines, the surest first; [] where no table of them stands."""
    path = out / pairing.FILE
    if not path.is_file() or not count:
        return []
    table = pq.read_table(path).sort_by([("cosine", "descending"), ("clip_id", "ascending")])
    places = np.unique(np.linspace(0, max(len(table) - 1, 0), count).astype(int)) if len(table) else []
    chosen = [table.slice(int(place), 1).to_pylist()[0] for place in places]
    row_of = rows_of(clips, [name for one in chosen for name in (one["clip_id"], one["reference"])])
    return [
        Pair(
            row_of[one["clip_id"]],
            row_of.get(one["reference"]),
            f"cosine {one['cosine']:.{COSINES}f}, {one['kind']}: {one['reference_source']}",
        )
        for one in chosen
        if one["clip_id"] in row_of  # of another run of this folder
    ]


def alone(outcome: Outcome, count: int) -> list[int]:
    """Kept clips of one person, where there are no pairs to show."""
    known = outcome.clips.column("face_similarity").is_valid().to_numpy() & outcome.verdicts.kept
    return np.flatnonzero(known)[:count].tolist()


def references(outcome: Outcome, rows: Sequence[int]) -> dict[int, list[str]]:
    """The reference pictures of clips, as data URLs."""
    ids = outcome.clips.column("clip_id").take(pa.array(rows, pa.int64())).to_pylist()
    places = locate(outcome.graph, ids) if ids else {}
    return {
        row: [url(one) for one in pictures(places[clip])]
        for row, clip in zip(rows, ids, strict=True)
        if clip in places
    }
