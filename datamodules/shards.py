"""A folder of WebDataset shards and its index.json: opened, checked, listed."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from console import UserError

FORMAT = 1
INDEX = "index.json"


class Shard(NamedTuple):
    """One tar file. All its samples are of one bucket."""

    path: Path
    samples: int
    bucket: str


class Bucket(NamedTuple):
    """The one shape of the clips of a batch: pixels and frames."""

    width: int
    height: int
    frames: int

    @classmethod
    def parse(cls, name: str) -> "Bucket":
        """From its name, as "64x64x16" (width, height, frames)."""
        parts = name.split("x")
        if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
            raise UserError(f"'{name}' is no bucket; a bucket is WIDTHxHEIGHTxFRAMES, as 64x64x16.")
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}"


class ShardSet(NamedTuple):
    """The shards of one split in the order of its index, which numbers the samples: 0 to `samples` - 1."""

    folder: Path
    shards: tuple[Shard, ...]
    index: dict[str, Any]

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(shard.samples for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """What the index says its content is."""
        return str(self.index["fingerprint"])

    @property
    def buckets(self) -> tuple[str, ...]:
        """Names of the buckets, in order."""
        return tuple(sorted({shard.bucket for shard in self.shards}))

    @property
    def counts(self) -> dict[str, int]:
        """How many samples each bucket has."""
        return {
            bucket: sum(shard.samples for shard in self.shards if shard.bucket == bucket)
            for bucket in self.buckets
        }

    def numbers(self) -> list[np.ndarray]:
        """The numbers of each shard's samples, ascending as they stand in the tar."""
        ends = np.cumsum([shard.samples for shard in self.shards])
        return [np.arange(end - shard.samples, end) for shard, end in zip(self.shards, ends, strict=True)]


def open_shards(folder: Path | str, made_by: str, *, may_be_empty: bool = False) -> ShardSet:
    """Open `folder`/index.json and check that each shard is there in full; `made_by` is what makes them."""
    folder = Path(folder)
    index = _read_index(folder, made_by)
    shards = tuple(_check_shard(folder, row, made_by) for row in index["shards"])
    shards = tuple(shard for shard in shards if shard.samples > 0)
    if not shards and not may_be_empty:
        raise UserError(
            f"'{folder}' holds no sample: its index lists {len(index['shards'])} shards, all empty. "
            f"Loosen the thresholds or add videos, then: {made_by}"
        )
    return ShardSet(folder, shards, index)


def read_samples(shard: Shard) -> Iterator[dict[str, Any]]:
    """The samples of a tar in order, as WebDataset groups them: {"__key__", "<extension>": bytes}."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    count = 0
    try:
        with open(shard.path, "rb") as stream:
            source = [{"url": str(shard.path), "stream": stream}]
            for sample in group_by_keys(tar_file_expander(source)):
                count += 1
                yield sample
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise UserError(
            f"'{shard.path}' cannot be read after sample {count} ({error}). Make it anew."
        ) from error
    if count != shard.samples:
        raise UserError(
            f"'{shard.path}' holds {count} samples; its index says {shard.samples}. Make it anew."
        )


def _read_index(folder: Path, made_by: str) -> dict[str, Any]:
    if not folder.is_dir():
        raise UserError(f"There is no shard folder '{folder}'. Make it with: {made_by}")
    file = folder / INDEX
    if not file.is_file():
        hint = ""
        splits = [name for name in ("train", "val") if (folder / name / INDEX).is_file()]
        if splits:
            hint = (
                f" It has {' and '.join(splits)} inside: name '{folder}' itself in the config, not a split."
            )
        raise UserError(f"'{folder}' has no {INDEX}, which is written last.{hint} Finish it with: {made_by}")
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        known = index["shards"], index["fingerprint"], index["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"'{file}' is no index of shards ({error!r}). Make it anew with: {made_by}"
        ) from error
    if known[-1] != FORMAT:
        raise UserError(f"'{file}' has format {known[-1]}; this version reads format {FORMAT}.")
    return index


def _check_shard(folder: Path, row: dict[str, Any], made_by: str) -> Shard:
    path = folder / row["file"]
    if not path.is_file():
        raise UserError(f"The shard '{path}' is missing; its index lists it. Make it anew with: {made_by}")
    size = path.stat().st_size
    if size != row["bytes"]:
        raise UserError(
            f"The shard '{path}' has {size} bytes; its index says {row['bytes']}: it was cut or changed. "
            f"Copy it again, or make it anew with: {made_by}"
        )
    Bucket.parse(row["bucket"])
    return Shard(path, int(row["samples"]), row["bucket"])
