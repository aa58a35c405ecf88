"""shards: the clips that a subset keeps, cut, scaled and encoded into WebDataset tars; one bucket per tar.

A bucket is a frame size and a number of frames, so that every batch has one latent shape (Table 2). The tars
of a set depend on nothing but their clips and these settings; the same clips give the same bytes on every
run.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from console import UserError
from curation.stage import Row, resource
from storage import fingerprint

SPLITS = ("train", "val")


@dataclass(frozen=True, kw_only=True)
class Length:
    """A duration bucket: clips of at least min_seconds give `frames` frames."""

    min_seconds: float
    frames: int
    fps: float | None = None
    """Frames per second of the result, counted from the clip's start; empty spreads the frames over the whole
    clip"""

    def rate(self, seconds: float) -> float:
        """Frames per second for a clip of that length."""
        return self.fps or self.frames / seconds


@dataclass(frozen=True, kw_only=True)
class Shards:
    """Settings of the shards stage."""

    name: ClassVar[str] = "shards"
    version: ClassVar[int] = 2

    sizes: tuple[tuple[int, int], ...] = ((1024, 576), (576, 1024), (768, 768), (896, 672), (672, 896))
    """Frame sizes, width and height; a clip goes to the nearest aspect. The paper has five and names the
    first two"""
    lengths: tuple[Length, ...] = (
        Length(min_seconds=4.0, frames=128),
        Length(min_seconds=8.0, frames=192),
        Length(min_seconds=12.0, frames=256),
    )
    "Duration buckets, shortest first (Table 2, rows 3 to 5)"
    per_shard: int = 128
    "Clips in a tar, at most"
    val_fraction: float = 0.02
    "Part of the source videos that is held out; all clips of a video are on one side"
    crf: int = 18
    "Constant rate factor of x264: smaller is better and larger on disk"
    preset: str = "medium"
    "Preset of x264"
    audio: bool = True
    "Keep the clip's sound (AAC)"
    copy: bool = True
    """Take over the packets of a silent result whose file already is one clip of its bucket: nothing is lost
    twice"""
    encode_seconds: float = resource(300.0)
    "FFmpeg is killed when one clip takes longer"

    def __post_init__(self):
        if any(side < 2 or side % 2 for size in self.sizes for side in size) or not self.sizes:
            raise UserError(f"shards.sizes is {self.sizes}; x264 needs even sides of at least 2 pixels.")
        if not self.lengths or list(self.lengths) != sorted(self.lengths, key=lambda item: item.min_seconds):
            raise UserError("shards.lengths must name at least one duration bucket, the shortest first.")
        if not 0 <= self.val_fraction < 1 or self.per_shard < 1:
            raise UserError("shards.val_fraction must be in [0, 1) and shards.per_shard at least 1.")

    def settings(self) -> dict[str, Any]:
        """What can change the bytes of a tar."""
        return {
            "crf": self.crf,
            "preset": self.preset,
            "audio": 2 if self.audio else False,  # 2: it begins where its file says
            "copy": self.copy,
            "version": self.version,
        }

    def bucket(self, row: Row) -> tuple[tuple[int, int], Length] | None:
        """Frame size and duration bucket of a clip; None for one that is shorter than all."""
        slack = 0.5 / row["fps"]
        fitting = [length for length in self.lengths if row["seconds"] >= length.min_seconds - slack]
        if not fitting:
            return None
        nearest = min(self.sizes, key=lambda size: abs(_log_ratio(size[0] / size[1], row["aspect"])))
        return nearest, fitting[-1]


@dataclass(frozen=True)
class Tar:
    """One shard to write: its clips, in order, with all that their JSON says."""

    split: str
    bucket: str
    rows: tuple[Row, ...]
    name: str
    "Of its content: equal clips and settings, equal name"


def plan(rows: Sequence[Row], stage: Shards, lineage: Mapping[str, Any]) -> list[Tar]:
    """Cut the kept clips into tars by split and bucket, in the order of clip_id: random but fixed."""
    held_out = val_sources({row["sha256"] for row in rows}, stage.val_fraction)
    sets: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["clip_id"]):
        place = stage.bucket(row)
        if place:
            (width, height), length = place
            target = {
                "width": width,
                "height": height,
                "frames": length.frames,
                "rate": length.rate(row["seconds"]),
            }
            key = ("val" if row["sha256"] in held_out else "train", f"{width}x{height}x{length.frames}")
            sets.setdefault(key, []).append({**row, "target": target, "lineage": dict(lineage)})
    tars = []
    for (split, bucket), clips in sorted(sets.items()):
        for first in range(0, len(clips), stage.per_shard):
            part = tuple(clips[first : first + stage.per_shard])
            tars.append(Tar(split, bucket, part, fingerprint([stage.settings(), bucket, part])))
    return tars


def val_sources(sources: set[str], fraction: float) -> set[str]:
    """Source videos that are held out, each by its own hash, so that more videos move none; at least one of
    several."""
    if not fraction or len(sources) < 2:
        return set()
    dice = {
        source: int.from_bytes(hashlib.sha256(f"val/{source}".encode()).digest()[:8]) / 2**64
        for source in sources
    }
    chosen = {source for source, value in dice.items() if value < fraction}
    return chosen or {min(sources, key=dice.__getitem__)}


def _log_ratio(one: float, other: float) -> float:
    from math import log

    return log(one / other)


def tar_path(work: Path, name: str) -> Path:
    """Where a finished tar waits to be published."""
    return work / "shards" / f"part-{name}.tar"
