"""The files of a run by the names in column `source`. Whoever opens one borrows it, and gets a path on this
machine's disk for as long as it is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.sources.handling import Handling


@dataclass(frozen=True)
class Library:
    """Where the files are."""

    folder: Path
    "Relative names start here"
    handling: Handling

    @contextmanager
    def borrow(self, source: str) -> Iterator[Path]:
        """The file that `source` names, on this disk until the block ends."""
        yield self.folder / source
