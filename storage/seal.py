"""A folder that many processes write: it counts as whole once a seal with the hash of every file is in it.

The seal is written last, so a folder without one was cut short; one whose files differ from it is damaged.
"""

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from storage.atomic import write_json
from storage.fingerprint import hash_file

SEAL = "seal.json"
READERS = 8  # files hashed at a time; hashing leaves python's lock free


def file_seals(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Hash and size of files of `folder`, each synced to the disk before."""
    found = {}
    for name in names:
        handle = os.open(folder / name, os.O_RDONLY)
        try:
            os.fsync(handle)
            size = os.fstat(handle).st_size
        finally:
            os.close(handle)
        found[name] = {"sha256": hash_file(folder / name), "bytes": size}
    return found


def seal(folder: Path, files: Mapping[str, Mapping[str, Any]], **facts: Any) -> None:
    """Say that `folder` is whole, what it is made of, and what else a reader must know before opening it."""
    write_json(folder / SEAL, {**facts, "files": dict(files)})


def read_seal(folder: Path) -> dict[str, Any] | None:
    """What the seal says; None where there is none, or one that cannot be read."""
    try:
        content = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("files"), dict) else None


def is_sealed(folder: Path) -> bool:
    """Whether the seal is there and every file with its size; `damaged` looks at the bytes too."""
    content = read_seal(folder)
    return content is not None and all(
        _size(folder / name) == file["bytes"] for name, file in content["files"].items()
    )


def damaged(folder: Path, part: int = 0, parts: int = 1) -> list[str]:
    """Files that are not what was sealed. Readers that share the work take each every `parts`-th of them."""
    files = (read_seal(folder) or {"files": {}})["files"]
    mine = sorted(files)[part::parts]

    def differs(name: str) -> bool:
        path = folder / name
        return _size(path) != files[name]["bytes"] or hash_file(path) != files[name]["sha256"]

    with ThreadPoolExecutor(READERS) as readers:
        return [name for name, fault in zip(mine, readers.map(differs, mine), strict=True) if fault]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
