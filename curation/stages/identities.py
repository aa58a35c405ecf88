"""identities: clips that show the same person, over all clips at once (Sec. 4.2.1). Decides nothing.

Runs only when it is named or when a rule of the subset is on its column.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from console import UserError
from curation.clip import COLUMNS
from curation.stage import BarrierStage


@dataclass(frozen=True, kw_only=True)
class Identities(BarrierStage):
    """Settings of the identities stage."""

    name: ClassVar[str] = "identities"
    on_demand: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("clip_id", "face_embedding")
    adds: ClassVar[tuple[str, ...]] = ("identity",)

    same: float = 0.5
    "Cosine of the faces of two clips above which they are one person's; also over clips in between"

    def __post_init__(self):
        if not -1 <= self.same < 1:
            raise UserError(f"identities.same is {self.same}; a cosine from -1 to below 1 is needed.")

    def open(self, root: Path) -> Callable[[pa.Table], pa.Table]:
        from curation.scores.face_tracks import identities

        def mark(table: pa.Table) -> pa.Table:
            ids = table.column("clip_id").to_pylist()
            faces = table.column("face_embedding").to_pylist()
            seen = sorted((k for k, face in enumerate(faces) if face is not None), key=lambda k: ids[k])
            names: list[str | None] = [None] * len(ids)
            if seen:
                for rows in identities(np.array([faces[k] for k in seen], np.float32), self.same):
                    for row in rows:
                        names[seen[row]] = ids[seen[rows[0]]]
            return pa.table({"identity": pa.array(names, COLUMNS["identity"].type)})

        return mark
