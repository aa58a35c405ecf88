"""A file appears whole under its name or not at all: written beside it, synced, then renamed over it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give a path to write to; when the block ends well, sync that file and rename it to `target`.

    The path has the name of `target`, since muxers choose a format by the suffix, in a hidden folder beside
    it, so that the file of a process that was killed never matches the pattern of a reader. On any error the
    folder is removed and `target` is as it was before.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as folder:
        temporary = Path(folder, target.name)
        yield temporary
        sync(temporary)
        os.replace(temporary, target)
    sync(target.parent)


def write_text(target: Path | str, text: str) -> None:
    """Write `text` (UTF-8) to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys to `target` atomically."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
