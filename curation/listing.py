"""The files of a run, cut into units of work by content.

Cut points depend on the file names near them, so a new file changes one unit and leaves the results of all
others valid.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from console import UserError
from storage import fingerprint

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .flv .wmv .ogv .3gp .mxf .gif".split()  # noqa: SIM905
)
TAR_SUFFIX = ".tar"
SIDECAR_SUFFIXES = (".json", ".txt")


class Item(NamedTuple):
    """A file to curate, and what is known of it before it is opened."""

    source: str
    "Its name: below the folder of the run, or an absolute path or address; TAR::MEMBER inside a tar"
    state: Any = None
    "JSON that differs when the file does"
    beside: str | None = None
    "Name of the file with its captions"
    caption: str | None = None
    "Caption that a list gives"
    listed: str | None = None
    "JSON of what else a list says"
    fault: str | None = None
    "Why it cannot be opened, where that is known"


class Unit(NamedTuple):
    """Files that are worked on together. The name depends on what they are called and on their states."""

    name: str
    files: tuple[Item, ...]


def list_files(root: Path, suffixes: frozenset[str]) -> list[str]:
    """Paths of the files under `root` with one of the suffixes, sorted, relative to it. Links to folders are
    not followed."""
    found = []
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in names:
            if Path(name).suffix.lower() in suffixes and not name.startswith("."):
                path = Path(folder, name)
                if path.is_file():
                    found.append(path.relative_to(root).as_posix())
    return sorted(found)


def list_videos(root: Path) -> list[str]:
    """Paths of the video files under `root`, sorted, relative to it."""
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UserError(f"The input folder {root} {what}. Give a folder that holds videos: --input DIR.")
    found = list_files(root, VIDEO_SUFFIXES)
    if not found:
        raise UserError(nothing_in(str(root)))
    return found


def nothing_in(where: str) -> str:
    """What to say where there is no video."""
    kinds = " ".join(sorted(VIDEO_SUFFIXES))
    return (
        f"No video in {where}. Looked in all its folders for files that end in {kinds}, and for tars of them."
    )


def sidecar(path: Path) -> Path | None:
    """The caption file beside a video, if there is one."""
    for suffix in SIDECAR_SUFFIXES:
        candidate = path.with_suffix(suffix)
        if candidate.is_file():
            return candidate
    return None


def local_item(root: Path, name: str) -> Item:
    """A file on this disk; `name` is absolute or below `root`."""
    path = root / name
    beside = sidecar(path)
    kept = None if beside is None else str(Path(name).with_name(beside.name))
    state = [stamp(path), beside and [beside.suffix, stamp(beside)]]
    return Item(printable(name), state, None if kept is None else printable(kept))


def cut_units(items: Sequence[Item], size: int) -> list[Unit]:
    """Cut the sorted `items` into units of about `size`, at least a quarter and at most twice as many."""
    units, part = [], []
    for item in items:
        part.append(item)
        here = int.from_bytes(hashlib.sha256(item.source.encode()).digest()[:8]) % size == 0
        if (here and len(part) >= max(size // 4, 1)) or len(part) >= 2 * size:
            units.append(_unit(part))
            part = []
    if part:
        units.append(_unit(part))
    return units


def _unit(items: list[Item]) -> Unit:
    return Unit(fingerprint([list(item) for item in items]), tuple(items))


def stamp(path: Path) -> list[int]:
    """Size and time of change of a file; zeros where it is gone: ingest says so in its row."""
    try:
        status = path.stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


def printable(name: str) -> str:
    r"""A file name as text; bytes that are none are written \xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
