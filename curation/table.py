"""The whole score table of a run, joined from the units of all stages; embeddings stay on disk."""

from collections.abc import Sequence

import pyarrow as pa

from curation.clip import COLUMNS, TEXT, error_column
from curation.graph import Graph
from curation.manifest import join, read_part

HEAVY = ("embedding", "mirrored", "signature", "sidecar")  # not scores


def score_columns(graph: Graph) -> list[str]:
    """Every column of the clip table that is small enough to hold for all clips."""
    names = [column for node in graph.nodes.values() for column in node.stage.adds if column not in HEAVY]
    return names + [error_column(name) for name in graph.nodes]


def load(graph: Graph, columns: Sequence[str]) -> pa.Table:
    """`columns` of all clips, in the order of the listing. Stages that have not run give nulls."""
    adders = {column: name for name, node in graph.nodes.items() for column in node.stage.adds}
    adders |= {error_column(name): name for name in graph.nodes}
    ready = {name for name, node in graph.nodes.items() if not node.missing}
    wanted: dict[str, tuple[str, ...]] = {"split": ()}
    for column in columns:
        if adders[column] in ready:
            wanted[adders[column]] = (*wanted.get(adders[column], ()), column)
    tables = [join(graph.parts(unit.name, wanted), wanted) for unit in graph.units]
    table = pa.concat_tables(tables) if tables else pa.table({})
    rows = len(table)
    for column in columns:
        if column not in table.column_names:
            kind = COLUMNS[column].type if column in COLUMNS else TEXT
            table = table.append_column(column, pa.nulls(rows, kind))
    return table


def files(graph: Graph) -> pa.Table:
    """One row per file of the input folder: its path, hash and error."""
    columns = ["source", "sha256", "file_seconds", error_column("ingest")]
    return pa.concat_tables(
        [read_part(graph.nodes["ingest"].folder.part(unit.name), columns) for unit in graph.units]
    )
