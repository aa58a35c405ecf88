"""The files of a run by the names in column `source`. Whoever opens one borrows it, and gets a path on this
machine's disk for as long as it is open: plain files as they lie, all others as copies."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.listing import stamp
from curation.sources.cache import Cache
from curation.sources.handling import Handling
from curation.sources.names import is_remote, on_disk, parts
from curation.sources.remote import fetch, mark_of
from curation.sources.tars import extract


@dataclass(frozen=True)
class Library:
    """Where the files are."""

    folder: Path
    "Relative names start here"
    copies: Path
    "Folder of copies on this disk"
    handling: Handling

    @property
    def cache(self) -> Cache:
        """The copies."""
        return Cache(self.copies, self.handling.cache_gb)

    @contextmanager
    def borrow(self, source: str) -> Iterator[Path]:
        """The file that `source` names, on this disk until the block ends.

        Raises:
            ValueError: it is elsewhere and cannot be had.
        """
        outer, member = parts(source)
        if member is not None and on_disk(self.folder, source).exists():
            outer, member = source, None  # a plain file with a strange name
        if member is None:
            with self._whole(outer) as path:
                yield path
            return
        with self._member(outer, member) as path:
            yield path

    @contextmanager
    def _whole(self, name: str) -> Iterator[Path]:
        if not is_remote(name):
            yield on_disk(self.folder, name)
            return

        def make(target: Path) -> str:
            return mark_of(fetch(name, target, self.handling))

        with self.cache.borrow(name, name, make) as path:
            yield path

    @contextmanager
    def _member(self, tar: str, member: str) -> Iterator[Path]:
        """Kept under a name that holds the state of a local tar: a changed one has other copies."""
        away = is_remote(tar)
        state = [] if away else stamp(on_disk(self.folder, tar))

        def make(target: Path) -> str:
            with self._whole(tar) as path:
                extract(path, (path.stat().st_ino,) if away else tuple(state), member, target)
            return self.cache.mark(tar) if away else ""

        with self.cache.borrow("\t".join([str(state), tar, member]), tar, make) as path:
            yield path
