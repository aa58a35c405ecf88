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
    index = {"format": 1, "fingerprint": fingerprint(rows), "shards": rows, "samples": total, **extra}
    write_json(folder / "index.json", index)


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


def write_latents(
    out: Path,
    *,
    train: int = 10,
    val: int = 4,
    channels: int = 3,
    widths: tuple[int, ...] = (5,),
    first: bool = False,
) -> Path:
    """A set of train/ and val/ shards of encoded clips; text n has 1 + n % 4 tokens of each of `widths`,
    first frame n, if there is one, 5 + 3 n everywhere."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        samples = []
        for number in range(count):
            latent, text = io.BytesIO(), io.BytesIO()
            np.save(latent, (2 + 3 * rng.standard_normal((2, channels, 4, 4))).astype(np.float32))
            tokens = {
                f"embedding{place or ''}": rng.standard_normal((1 + number % 4, width)).astype(np.float32)
                for place, width in enumerate(widths)
            }
            np.savez(text, **tokens)
            facts = json.dumps({"bucket": "32x32x16", "fps": 8.0, "caption": f"{split} {number}"}).encode()
            files = {"json": facts, "latent.npy": latent.getvalue(), "text.npz": text.getvalue()}
            if first:
                image = io.BytesIO()
                np.save(image, np.full((1, channels, 4, 4), 5 + 3 * number, np.float32))
                files["first.npy"] = image.getvalue()
            samples.append((f"{split}{number:03d}", files))
        write_shard(out / split / "shard-000000.tar", samples)
        facts = {
            "tae": "t" * 64,
            "text": "minilm",
            "latent_mean": [2.0] * channels,
            "latent_std": [3.0] * channels,
        }
        write_index(out / split, {"shard-000000.tar": "32x32x16"}, **facts)
    return out
