"""WebDataset shards, sample by sample: members `KEY.SUFFIX` of a tar, those of one KEY together."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from console import UserError
from storage import atomic_path

INDEX = "index.json"


class Sample(NamedTuple):
    """One sample: its key and the bytes of each of its files by suffix, such as "mp4" and "json"."""

    key: str
    files: dict[str, bytes]


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder of shards, with every shard checked to be there in full size."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        shards = index["shards"]
    except FileNotFoundError:
        raise UserError(
            f"There are no shards in '{folder}' (no {INDEX}). Make them with: "
            "python -m curation.run -c configs/curation/demo.yaml"
        ) from None
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder / INDEX} is not an index of shards ({error!r}).") from error
    for shard in shards:
        path = folder / shard["file"]
        size = path.stat().st_size if path.is_file() else None
        if size != shard["bytes"]:
            found = "missing" if size is None else f"{size:,} bytes long"
            raise UserError(
                f"{path} is {found}; its index says {shard['bytes']:,} bytes. Make or copy the shards again."
            )
    return index


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a shard in order, one in memory at a time."""
    _check_end(path)
    sample: Sample | None = None
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                file = tar.extractfile(member)
                if file is None:
                    continue
                if sample is not None and sample.key != key:
                    yield sample
                    sample = None
                sample = sample or Sample(key, {})
                sample.files[suffix] = file.read()
    except tarfile.TarError as error:
        raise UserError(f"{path} is no whole tar file ({error}). Make or copy the shard again.") from error
    if sample is not None:
        yield sample


def _check_end(path: Path) -> None:
    """A tar ends with two blocks of zeros; a file cut between members would pass for a shorter shard."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        if file.read() != bytes(1024):
            raise UserError(f"{path} is cut short. Make or copy the shard again.")


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write a shard whole or not at all; the same samples give the same bytes. Returns their number."""
    count = 0
    with atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
        for sample in samples:
            for suffix, content in sorted(sample.files.items()):
                member = tarfile.TarInfo(f"{sample.key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            count += 1
    return count


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def embedding_name(place: int) -> str:
    """Name in a .npz file of the embedding of an encoder by its place: embedding, embedding1, embedding2."""
    return f"embedding{place or ''}"


def npz(**arrays: np.ndarray) -> bytes:
    """The bytes of a .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
