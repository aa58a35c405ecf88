"""The files of an input folder, cut into units of work by content.

Cut points depend on the file names near them, so a new file changes one unit and leaves the results of all
others valid.
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from console import UserError
from storage import fingerprint

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .flv .wmv .ogv .3gp .mxf .gif".split()  # noqa: SIM905
)
SIDECAR_SUFFIXES = (".json", ".txt")


class Unit(NamedTuple):
    """Files that are worked on together. The name depends on their paths, sizes and times of change."""

    name: str
    files: tuple[str, ...]


def list_videos(root: Path) -> list[str]:
    """Paths of the video files under `root`, sorted, relative to it. Links to folders are not followed."""
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UserError(f"The input folder {root} {what}. Give a folder that holds videos: --input DIR.")
    found = []
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in names:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                path = Path(folder, name)
                if path.is_file():
                    found.append(path.relative_to(root).as_posix())
    if not found:
        raise UserError(
            f"No video in {root}. Looked in all its folders for files that end in "
            f"{' '.join(sorted(VIDEO_SUFFIXES))}."
        )
    return sorted(found)


def sidecar(path: Path) -> Path | None:
    """The caption file beside a video, if there is one."""
    for suffix in SIDECAR_SUFFIXES:
        candidate = path.with_suffix(suffix)
        if candidate.is_file():
            return candidate
    return None


def cut_units(root: Path, files: list[str], size: int) -> list[Unit]:
    """Cut the sorted `files` into units of about `size`, at least a quarter and at most twice as many."""
    units, part = [], []
    for name in files:
        part.append(name)
        here = (
            int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8]) % size == 0
        )
        if (here and len(part) >= max(size // 4, 1)) or len(part) >= 2 * size:
            units.append(_unit(root, part))
            part = []
    if part:
        units.append(_unit(root, part))
    return units


def _unit(root: Path, files: list[str]) -> Unit:
    return Unit(fingerprint([_state(root, name) for name in files]), tuple(files))


def _state(root: Path, name: str) -> list:
    path = root / name
    beside = sidecar(path)
    return [os.fsencode(name).hex(), _stamp(path), beside and [beside.suffix, _stamp(beside)]]


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:  # gone since it was listed: ingest says so in its row
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]
