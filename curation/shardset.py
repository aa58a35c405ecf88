"""A published set of shards: tars and the index that says what they must be. Written by curation, checked by
`verify`."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from console import UserError
from storage import fingerprint, hash_file, write_json

FORMAT = 1
INDEX = "index.json"


@dataclass(frozen=True)
class Shard:
    """One line of an index."""

    file: str
    samples: int
    bytes: int
    sha256: str
    bucket: str


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a file that has no owner and no time: equal content, equal tar."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o644, 0
    tar.addfile(info, io.BytesIO(content))


def write_index(folder: Path, shards: Iterable[Shard], extra: Mapping[str, Any] | None = None) -> None:
    """index.json of a folder of shards. `extra`: further facts of the set."""
    shards = list(shards)
    buckets: dict[str, int] = {}
    for shard in shards:
        buckets[shard.bucket] = buckets.get(shard.bucket, 0) + shard.samples
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint([shard.sha256 for shard in shards]),
        "shards": [asdict(shard) for shard in shards],
        "samples": sum(shard.samples for shard in shards),
        "buckets": buckets,
        **(extra or {}),
    }
    write_json(folder / INDEX, content)


def read_index(folder: Path | str) -> dict[str, Any]:
    """index.json of a folder of shards."""
    path = Path(folder) / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"There is no {INDEX} in {folder}. Give a folder of shards, such as OUT/shards/train."
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {index.get('format') if isinstance(index, dict) else index!r}, not {FORMAT}."
        )
    return index


def publish(folder: Path, sets: Mapping[str, list[tuple[Path, Shard]]]) -> bool:
    """Put finished tars under `folder`/{train,val}, all at once; False if the same sets are there already.

    The new sets are built beside the old ones from hard links and renamed: readers see the old sets or the
    new ones.
    """
    if all(_same(folder / split, shards) for split, shards in sets.items()):
        return False
    fresh, old = folder.with_name(f".{folder.name}-new"), folder.with_name(f".{folder.name}-old")
    for path in (fresh, old):
        shutil.rmtree(path, ignore_errors=True)
    for split, shards in sets.items():
        (fresh / split).mkdir(parents=True)
        for source, shard in shards:
            _link(source, fresh / split / shard.file)
        write_index(fresh / split, [shard for _, shard in shards])
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return True


def verify(folder: Path) -> list[str]:
    """What is wrong with the set of shards in `folder`: missing, extra, truncated and altered files, wrong
    counts."""
    index = read_index(folder)
    faults = []
    expected = {entry["file"]: entry for entry in index["shards"]}
    for name in sorted({path.name for path in folder.glob("*.tar")} - set(expected)):
        faults.append(f"{name}: not in the index")
    for name, entry in sorted(expected.items()):
        path = folder / name
        if not path.is_file():
            faults.append(f"{name}: missing")
        elif path.stat().st_size != entry["bytes"]:
            kind = "truncated" if path.stat().st_size < entry["bytes"] else "too long"
            faults.append(f"{name}: {kind}, {path.stat().st_size} of {entry['bytes']} bytes")
        elif hash_file(path) != entry["sha256"]:
            faults.append(f"{name}: its bytes were changed (SHA-256 differs)")
        else:
            faults += _count(path, entry)
    if sum(entry["samples"] for entry in expected.values()) != index["samples"]:
        faults.append(f"{INDEX}: the samples of the shards do not add up to {index['samples']}")
    return faults


def sets_in(folder: Path) -> list[Path]:
    """The folder itself if it has an index, else those below it that have one."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder} to verify.")
    found = [folder] if (folder / INDEX).is_file() else sorted(path.parent for path in folder.rglob(INDEX))
    if not found:
        raise UserError(f"No {INDEX} in {folder} or below it. Give a folder of shards, such as OUT/shards.")
    return found


def _count(path: Path, entry: Mapping[str, Any]) -> list[str]:
    with tarfile.open(path) as tar:
        samples = len({name.split(".", 1)[0] for name in tar.getnames()})
    return (
        []
        if samples == entry["samples"]
        else [f"{path.name}: {samples} samples, {entry['samples']} in the index"]
    )


def _same(folder: Path, shards: list[tuple[Path, Shard]]) -> bool:
    try:
        index = read_index(folder)
    except UserError:
        return False
    there = [path.stat().st_size for _, shard in shards if (path := folder / shard.file).is_file()]
    return index["shards"] == [asdict(shard) for _, shard in shards] and there == [s.bytes for _, s in shards]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        import errno

        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copyfile(source, target)
