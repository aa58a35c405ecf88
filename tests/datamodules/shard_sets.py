"""Small shard sets, written as curation and the encoder write them, for the tests of what reads them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from inference.video import write_video
from storage import fingerprint, hash_file, write_json

Files = dict[str, bytes]  # extension -> bytes


def write_shard(path: Path, samples: Iterable[tuple[str, Files]]) -> None:
    """A tar of samples in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, files in samples:
            for extension, data in files.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_index(folder: Path, buckets: dict[str, str], **extra: Any) -> None:
    """The index.json of the shards in `folder`; `buckets` maps each file's name to its bucket."""
    rows = []
    for name, bucket in buckets.items():
        path = folder / name
        with tarfile.open(path) as tar:
            samples = len({member.name.split(".")[0] for member in tar})
        size = path.stat().st_size
        rows.append(
            {"file": name, "samples": samples, "bytes": size, "sha256": hash_file(path), "bucket": bucket}
        )
    total = sum(row["samples"] for row in rows)
    counts = {
        bucket: sum(row["samples"] for row in rows if row["bucket"] == bucket) for bucket in buckets.values()
    }
    index = {
        "format": 1,
        "fingerprint": fingerprint(rows),
        "shards": rows,
        "samples": total,
        "buckets": counts,
    }
    write_json(folder / "index.json", {**index, **extra})


def moving_square(number: int, size: int, frames: int) -> np.ndarray:
    """uint8 "t h w 3": a coloured square that moves to the right; colour and row come from `number`."""
    rng = np.random.default_rng(number)
    video = np.full((frames, size, size, 3), 40, np.uint8)
    colour, row = rng.integers(90, 255, 3), int(rng.integers(size // 2))
    for t in range(frames):
        left = t % (size // 2)
        video[t, row : row + size // 3, left : left + size // 3] = colour
    return video


def clip_files(folder: Path, number: int, bucket: str, extra_frames: int = 0) -> tuple[str, Files]:
    """One clip sample: an mp4 and its facts."""
    width, _, frames = map(int, bucket.split("x"))
    clip_id = hashlib.sha256(f"{bucket} {number}".encode()).hexdigest()[:12]
    video = folder / f"{clip_id}.mp4"
    write_video(video, moving_square(number, width, frames + extra_frames), fps=8)
    facts = {"clip_id": clip_id, "bucket": bucket, "fps": 8.0, "caption": f"clip {number}", "frames": frames}
    return clip_id, {"mp4": video.read_bytes(), "json": json.dumps(facts).encode()}


def write_clips(
    out: Path, *, train: int = 12, val: int = 4, bucket: str = "16x16x4", per_shard: int = 4
) -> Path:
    """A set of train/ and val/ shards of real mp4 clips of one bucket."""
    for offset, (split, count) in enumerate((("train", train), ("val", val))):
        samples = [clip_files(out / "mp4", 1000 * offset + n, bucket) for n in range(count)]
        names = {}
        for start in range(0, count, per_shard):
            name = f"shard-{start // per_shard:06d}.tar"
            write_shard(out / split / name, samples[start : start + per_shard])
            names[name] = bucket
        write_index(out / split, names)
    return out


def write_latents(  # noqa: PLR0913
    out: Path,
    *,
    train: int = 10,
    val: int = 4,
    channels: int = 3,
    widths: tuple[int, ...] = (5,),
    first: bool = False,
    buckets: tuple[str, ...] = ("32x32x16",),
) -> Path:
    """A set of train/ and val/ shards of encoded clips, so many of each bucket; text n has 1 + n % 4 tokens
    of each of `widths`, first frame n, if there is one, 5 + 3 n everywhere."""
    facts = {
        "tae": "t" * 64,
        "tae_path": "tae",
        "compression": [8, 8, 8],
        "fps": 8.0,
        "text": "minilm",
        "text_encoder": {"encoder": "minilm", "fingerprint": "minilm", "max_tokens": 64},
        "null": {"text": "", "file": "null.npz"},
    }
    statistics = {"latent_mean": [2.0] * channels, "latent_std": [3.0] * channels}
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        names = {}
        for place, bucket in enumerate(buckets):
            numbers = range(place * count, (place + 1) * count)
            samples = [
                (f"{split}{number:03d}", latent_files(number, bucket, split, rng, channels, widths, first))
                for number in numbers
            ]
            names[f"shard-{place:06d}.tar"] = bucket
            write_shard(out / split / f"shard-{place:06d}.tar", samples)
        nulls = [np.ones((1, width), np.float32) for width in widths]
        named = {f"embedding{place or ''}": null for place, null in enumerate(nulls)}
        np.savez(out / split / "null.npz", **named)
        write_index(out / split, names, **facts, **statistics)
    return out


def latent_files(  # noqa: PLR0913
    number: int,
    bucket: str,
    split: str,
    rng: np.random.Generator,
    channels: int,
    widths: tuple[int, ...],
    first: bool,
) -> Files:
    """One sample of `write_latents`."""
    width, height, frames = map(int, bucket.split("x"))
    shape = (-(-frames // 8), channels, height // 8, width // 8)
    latent = (2 + 3 * rng.standard_normal(shape)).astype(np.float32)
    tokens = {
        f"embedding{place or ''}": rng.standard_normal((1 + number % 4, width)).astype(np.float32)
        for place, width in enumerate(widths)
    }
    text = io.BytesIO()
    np.savez(text, **tokens)
    facts = json.dumps({"bucket": bucket, "fps": 8.0, "caption": f"{split} {number}"}).encode()
    files = {"json": facts, "latent.npy": npy(latent), "text.npz": text.getvalue()}
    if first:
        files["first.npy"] = npy(np.full((1, *shape[1:]), 5 + 3 * number, np.float32))
    return files


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
