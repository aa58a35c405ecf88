"""The whole score table of a run, joined from the units of all stages; embeddings stay on disk."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from console import UserError
from curation.cascade import GUARDED
from curation.clip import COLUMNS, TEXT, error_column, skipped_column
from curation.graph import Graph
from curation.manifest import join, read_part
from curation.rules import SKIPPED
from storage import atomic_path, fingerprint

FILE = "scores.parquet"  # in the output folder
MARK = "graph"  # its metadata
HEAVY = (
    "embedding",
    "mirrored",
    "signature",
    "meaning",
    "copy",
    "face_embedding",
    "face_references",
    "sidecar",
)  # not scores


def score_columns(graph: Graph) -> list[str]:
    """Every column of the clip table that is small enough to hold for all clips."""
    names = [column for node in graph.nodes.values() for column in node.stage.adds if column not in HEAVY]
    return [*names, *(error_column(name) for name in graph.nodes), SKIPPED]


def load(graph: Graph, columns: Sequence[str]) -> pa.Table:
    """`columns` of all clips, in the order of the listing. Stages that have not run give nulls."""
    if SKIPPED in columns:
        reasons = [skipped_column(name) for name in graph.nodes if name in GUARDED]
        found = load(graph, [*(column for column in columns if column != SKIPPED), *reasons])
        first = pc.call_function("coalesce", [found.column(name) for name in reasons])
        return found.append_column(SKIPPED, first).select(columns)
    adders = {column: name for name, node in graph.nodes.items() for column in node.stage.adds}
    adders |= {kind(name): name for name in graph.nodes for kind in (error_column, skipped_column)}
    ready = {name for name, node in graph.nodes.items() if not node.missing}
    wanted: dict[str, tuple[str, ...]] = {"split": ()}
    for column in columns:
        if adders.get(column) in ready:  # none adds a planned one
            wanted[adders[column]] = (*wanted.get(adders[column], ()), column)
    tables = [join(graph.parts(unit.name, wanted), wanted) for unit in graph.units]
    return _filled(pa.concat_tables(tables) if tables else pa.table({}), columns)


def store(graph: Graph, out: Path) -> None:
    """Put the score table of a whole run into one file, for `select` and for others, unless it stands."""
    path = out / FILE
    if _mark_in(path) == mark(graph):
        return
    whole = load(graph, score_columns(graph)).replace_schema_metadata({MARK: mark(graph)})
    with atomic_path(path) as temporary:
        pq.write_table(whole, temporary, compression="zstd")


def stored(graph: Graph, out: Path, columns: Sequence[str] | None) -> pa.Table:
    """`columns` of all clips (all scores for None), from the one file where it is of this graph; it is made
    where all stages are complete."""
    if any(graph.nodes[name].missing for name in graph.whole()):
        return load(graph, columns if columns is not None else score_columns(graph))
    store(graph, out)
    return read(out / FILE, columns)


def read(path: Path, columns: Sequence[str] | None) -> pa.Table:
    """`columns` of a file with scores; those that it lacks are empty."""
    try:
        there = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is no table of scores: {error}") from error
    wanted = there if columns is None else list(dict.fromkeys(columns))
    if "clip_id" not in there:
        raise UserError(f"{path} is no table of scores: it has no column clip_id.")
    table = pq.read_table(path, columns=[name for name in wanted if name in there])
    return _filled(table, wanted)


def mark(graph: Graph) -> str:
    """What a score table is of: results and files."""
    names = {name: node.fingerprint for name, node in graph.nodes.items() if not node.missing}
    return fingerprint([names, [unit.name for unit in graph.units]])


def _mark_in(path: Path) -> str | None:
    """What the score table in a file says that it is of; None where there is none that can be read."""
    try:
        return (pq.read_schema(path).metadata or {}).get(MARK.encode(), b"").decode()
    except (FileNotFoundError, pa.ArrowInvalid):
        return None


def _filled(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with a column of nulls for each that it lacks."""
    for column in columns:
        if column not in table.column_names:
            kind = COLUMNS[column].type if column in COLUMNS else TEXT
            table = table.append_column(column, pa.nulls(len(table), kind))
    return table.select(columns)


def files(graph: Graph) -> pa.Table:
    """One row per file of the input folder: its path, hash and error."""
    columns = ["source", "sha256", "file_seconds", error_column("ingest")]
    return pa.concat_tables(
        [read_part(graph.nodes["ingest"].folder.part(unit.name), columns) for unit in graph.units]
    )
