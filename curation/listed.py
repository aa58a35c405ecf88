"""A rule that keeps clips by name: chosen by a person, or near seeds (curation.neighbours)."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool

from console import UserError
from curation.rule import Judged, Rule, nothing


@dataclass(frozen=True, kw_only=True)
class Listed(Rule):
    """The clip stands in a file: a Parquet table with a column clip_id, or text with one clip_id a line."""

    kind: ClassVar[str] = "listed"
    listed: str

    def columns(self) -> list[str]:
        return ["clip_id"]

    def judge(self, table: pa.Table, alive: Bool[np.ndarray, " n"]) -> Judged:
        wanted = pc.SetLookupOptions(pa.array(self._names(), pa.string()))
        there = pc.call_function("is_in", [table.column("clip_id")], wanted).to_numpy()
        return Judged(~there, nothing(table))

    def says(self) -> str:
        return f"listed in {self.listed}"

    def _names(self) -> list[str]:
        path = Path(self.listed)
        try:
            if path.suffix == ".parquet":
                return pq.read_table(path, columns=["clip_id"]).column("clip_id").to_pylist()
            return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, pa.ArrowInvalid, UnicodeDecodeError, KeyError) as error:
            raise UserError(f"Rule {self.name!r}: {path} is no list of clips: {error}") from error
