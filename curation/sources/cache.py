"""Copies of files that are not plain files of this disk, kept as long as there is room.

A copy is locked while somebody reads it, so that no other worker clears it away; those that were not used for
longest go first. The folder may be removed at any time when no run is under way: what is needed comes again.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.sources.names import kind
from storage import atomic_path, fingerprint, write_json

Make = Callable[[Path], str]
"Writes a copy to a path; gives the mark of its version, empty where nobody knows"

NOTE = ".note"  # suffix of the file beside a copy that says of what it is one
INDEX = ".index"  # suffix of indexes of tars elsewhere, which are small and stay


@dataclass(frozen=True)
class Cache:
    """Copies in one folder."""

    folder: Path
    gigabytes: float

    def path(self, name: str) -> Path:
        """Where the copy called `name` lies, if it does."""
        return self.folder / f"{fingerprint(name)}{kind(name)}"

    def mark(self, name: str) -> str:
        """The mark of the version of a copy."""
        try:
            return json.loads(_note(self.path(name)).read_text(encoding="utf-8"))["mark"]
        except FileNotFoundError:
            return ""

    @contextmanager
    def borrow(self, name: str, of: str, make: Make) -> Iterator[Path]:
        """The copy called `name`, made first from the file `of` where there is none; it stays until the block
        ends."""
        path = self.path(name)
        while True:
            handle = _open(path)
            if handle is None:
                self._fill(path, of, make)
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)
                if _same(handle, path):  # nobody cleared it away before it was locked
                    os.utime(path)
                    yield path
                    return
            finally:
                os.close(handle)

    def drop_stale(self, marks: Mapping[str, str]) -> None:
        """Remove copies of files that have changed since: `marks` as they are now, by file."""
        for note in self.folder.glob(f"*{NOTE}"):
            known = json.loads(note.read_text(encoding="utf-8"))
            if known["mark"] and marks.get(known["of"], known["mark"]) != known["mark"]:
                note.with_suffix("").unlink(missing_ok=True)
                note.unlink()

    def _fill(self, path: Path, of: str, make: Make) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        with open(lock, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two workers may want one tar at the same time
            try:
                if not path.exists():
                    with atomic_path(path) as temporary:
                        write_json(_note(path), {"of": of, "mark": make(temporary)})
            finally:
                lock.unlink(missing_ok=True)
        self._trim(path)

    def _trim(self, newest: Path) -> None:
        """Make room; what is in use stays, and so does the newest, however large it is."""
        copies = [entry for entry in os.scandir(self.folder) if entry.is_file() and _is_copy(entry.name)]
        facts = sorted((e.stat().st_mtime_ns, e.stat().st_size, e.path) for e in copies)
        left = sum(size for _, size, _ in facts) - self.gigabytes * 2**30
        for _, size, name in facts:
            if left <= 0:
                return
            path = Path(name)
            handle = _open(path) if path != newest else None
            if handle is None:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
                _note(path).unlink(missing_ok=True)
                left -= size
            except BlockingIOError:
                continue
            finally:
                os.close(handle)


def _note(path: Path) -> Path:
    return path.with_name(path.name + NOTE)


def _is_copy(name: str) -> bool:
    return not name.startswith(".") and not name.endswith((NOTE, INDEX))


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
