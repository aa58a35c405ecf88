"""The clip table on disk: Parquet in, Parquet out. One file = one unit of one stage.

A stage's folder is `<work>/<stage>-<fingerprint>`; a unit is done when its file exists. Rows of one unit lie
in the same order in every stage's file, so that a stage stores only the columns that it adds and a join is a
concatenation; columns of files (ingest) reach clips through `video_row`.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage import atomic_path, write_json

IDENTITY = "stage.json"  # beside the parts: what the fingerprint of a folder was made from


@dataclass(frozen=True)
class Folder:
    """Where one stage with one fingerprint keeps its results."""

    path: Path

    @classmethod
    def of(cls, work: Path, stage: str, fingerprint: str) -> "Folder":
        return cls(work / f"{stage}-{fingerprint}")

    def part(self, unit: str) -> Path:
        """The table of a unit; it exists when the unit is done."""
        return self.path / f"part-{unit}.parquet"

    def statistics(self, unit: str) -> dict[str, Any]:
        """What the unit cost, {} where nobody knows."""
        try:
            return json.loads(self._beside(unit).read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def describe(self, identity: Mapping[str, Any]) -> None:
        """Note what the results here were made from, so that a plan can say what changed since."""
        if not (self.path / IDENTITY).exists():
            write_json(self.path / IDENTITY, dict(identity))

    def write(self, unit: str, table: pa.Table, statistics: Mapping[str, Any]) -> None:
        """Store the costs, then the table: the table's appearance is what makes the unit done."""
        with atomic_path(self.part(unit)) as temporary:
            pq.write_table(table, temporary, compression="zstd", store_schema=False)
            size = {"rows_out": len(table), "bytes": temporary.stat().st_size}
            write_json(self._beside(unit), {**statistics, **size})

    def missing(self, units: Iterable[str]) -> list[str]:
        """Units without a result, in the order given."""
        return [unit for unit in units if not self.part(unit).exists()]

    def _beside(self, unit: str) -> Path:
        return self.path / f"part-{unit}.json"


def sweep(work: Path) -> None:
    """Remove what killed processes left unfinished. Only for the holder of the folder's lock."""
    for path in work.glob("*/.unfinished-*"):
        shutil.rmtree(path, ignore_errors=True)


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows to a table; a column that a row lacks is null there."""
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names})


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One stage's table of one unit, or the named columns of it."""
    return pq.read_table(path, columns=None if columns is None else list(columns))


def join(parts: Mapping[str, Path], columns: Mapping[str, Sequence[str]]) -> pa.Table:
    """One unit's table of clips: `columns[stage]` from `parts[stage]`, with ingest's columns spread over its
    clips."""
    tables = {stage: read_part(path, columns[stage]) for stage, path in parts.items() if stage != "ingest"}
    joined: dict[str, pa.ChunkedArray] = {}
    if "ingest" in parts:
        files = read_part(parts["ingest"], columns["ingest"])
        rows = read_part(parts["split"], ["video_row"]).column("video_row") if "split" in parts else None
        spread = files if rows is None else files.take(rows)
        joined.update({name: spread.column(name) for name in columns["ingest"]})
    for stage, table in tables.items():
        joined.update({name: table.column(name) for name in columns[stage]})
    return pa.table(joined)
