"""Where the reference pictures of kept clips lie: in the tables of the faces stage, not in memory."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from curation.graph import Graph
from curation.manifest import read_part
from curation.stage import Row

COLUMN = "face_references"


class Place(NamedTuple):
    """A row of a table of the faces stage."""

    part: Path
    row: int


def locate(graph: Graph, clips: Collection[str]) -> dict[str, Place]:
    """The place of each of the clips; {} where the run has no faces stage."""
    if "faces" not in graph.whole() or graph.nodes["faces"].missing:
        return {}
    wanted, places = frozenset(clips), {}
    for unit in graph.units:
        ids = read_part(graph.nodes["split"].folder.part(unit.name), ["clip_id"]).column("clip_id")
        part = graph.nodes["faces"].folder.part(unit.name)
        places |= {clip: Place(part, row) for row, clip in enumerate(ids.to_pylist()) if clip in wanted}
    return places


def only(places: Mapping[str, Place], rows: Sequence[Row]) -> dict[str, Place]:
    """The places of the clips of `rows`."""
    return {row["clip_id"]: places[row["clip_id"]] for row in rows if row["clip_id"] in places}


def pictures(place: Place) -> list[bytes]:
    """The JPEG files of a clip, in the order of their frames."""
    return _column(place.part)[place.row].as_py() or []


@lru_cache(maxsize=4)
def _column(part: Path) -> pa.ChunkedArray:
    return read_part(part, [COLUMN]).column(COLUMN)
