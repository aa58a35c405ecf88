"""Clips to what the transformer trains on: TAE latents and text embeddings, computed once (Sec. 3.1.4, 3.2).

A shard of clips becomes one shard of latents. A receipt says that a shard is done and what its statistics
are; the index of each split is written last, so a folder with indices is complete.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from console import UserError
from inference.clips import Frames, bucket_shape, decode_clip
from inference.jobs import OnStep, ticking
from inference.pipeline import Shape, open_encoder, pick_device
from inference.shards import INDEX, Sample, embedding_name, npy, npz, read_index, read_samples, write_samples
from inference.t2v import to_values
from inference.weights import LoadedModel, load_model
from models.tae import TAE
from models.text import TextEncoder, TextEnsemble, TextSequence
from models.text.prefix import prefixed
from storage import fingerprint, hash_file, write_json

VERSION = 1  # raise it when the same clips would give other latents
FORMAT = 1  # of the index
SPLITS = ("train", "val")
RECEIPTS = ".receipts"


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How to encode."""

    text: str = "minilm"
    """Packaged name, folder or hub name of the text encoder; several joined by + (`parse_sources`)."""
    max_tokens: int = 64
    """Tokens kept of a caption by encoders that name no limit of their own."""
    prefix: tuple[str, ...] = ()
    """What stands before captions: fps, camera (Sec. 3.1.4)."""
    batch: int = 16
    """Clips at once."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    first_frame: bool = False
    """Also the latent of each clip's first frame alone, which image-to-video trains on."""


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """The frozen models, and what names their results."""

    tae: LoadedModel[TAE]
    tae_path: str
    text: TextEncoder | TextEnsemble
    prefix: tuple[str, ...]
    batch: int
    first_frame: bool = False

    @property
    def channels(self) -> int:
        """Channels of the latent."""
        return self.tae.model.config.latent_channels

    @torch.no_grad()
    def latents(self, frames: list[np.ndarray]) -> np.ndarray:
        """Posterior means float32 "b t c h w", not normalised, of uint8 clips of one shape."""
        device = next(self.tae.model.parameters()).device
        video = to_values(np.stack(frames)).to(device)
        return self.tae.model.encode(video).mean.float().cpu().numpy()

    def embeddings(self, captions: list[str]) -> list[dict[str, np.ndarray]]:
        """For each caption, each encoder's text embedding float32 "l d", its valid tokens alone."""
        text = TextSequence.of(self.text.encode(captions))
        rows: list[dict[str, np.ndarray]] = [{} for _ in captions]
        for place, tokens in enumerate(text):
            for row, embedding, mask in zip(rows, *tokens, strict=True):
                row[embedding_name(place)] = embedding[mask].float().cpu().numpy()
        return rows

    def worded(self, facts: dict[str, Any]) -> str:
        """The caption of a clip behind its prefix."""
        camera = facts.get("camera_motion") if "camera" in self.prefix else None
        return prefixed(facts["caption"], float(facts["fps"]) if "fps" in self.prefix else None, camera)

    def facts(self) -> dict[str, Any]:
        """What the index says of the encoders, for the model that trains on their latents."""
        return {
            "tae": self.tae.hash,
            "tae_path": self.tae_path,
            "text": self.text.fingerprint,
            "text_encoder": {
                "encoder": self.text.name,
                "fingerprint": self.text.fingerprint,
                "max_tokens": self.text.max_tokens,
                **({"prefix": list(self.prefix)} if self.prefix else {}),
            },
        }


def encode(shards: Path, tae: Path, out: Path, options: EncodeOptions, *, replace: bool = False) -> str:
    """Encode the train and val shards of `shards` into `out`, going on where an earlier run stopped.

    Returns a line that says what was done. Latents of another TAE, text encoder or set of shards in `out` are
    a UserError, unless `replace` says to remove them.
    """
    indices = {split: read_index(shards / split) for split in SPLITS if (shards / split / INDEX).is_file()}
    if "train" not in indices:
        read_index(shards / "train")  # says what is missing
    encoders = _open(tae, options)
    made_by = [VERSION, indices, encoders.tae.hash, encoders.text.fingerprint]
    mark = fingerprint(made_by + [options.prefix] * bool(options.prefix) + ["first"] * options.first_frame)
    _take_over(out, mark, replace)
    rows = [(split, row) for split in indices for row in indices[split]["shards"]]
    _check_buckets({row["bucket"] for _, row in rows}, encoders)
    todo = [(split, row) for split, row in rows if not _is_done(out / split, row["file"])]
    if todo:
        with ticking("Encoding clips", sum(row["samples"] for _, row in todo)) as tick:
            for split, row in todo:
                _encode_shard(shards / split, row, out / split, encoders, tick)
    elif all((out / split / INDEX).is_file() for split in indices):
        return f"{out} is complete: nothing to do."
    return _write_indices(out, indices, mark, encoders)


def _open(tae: Path, options: EncodeOptions) -> Encoders:
    if options.batch < 1:
        raise UserError(f"--batch must be at least 1; {options.batch} came.")
    device = pick_device(options.device)
    loaded = load_model(tae, expect=TAE)
    loaded.model.to(device)
    text = open_encoder(options.text, options.max_tokens, device)
    return Encoders(tae=loaded, tae_path=str(tae), text=text, prefix=options.prefix, batch=options.batch,
                    first_frame=options.first_frame)  # fmt: skip


def _check_buckets(buckets: set[str], encoders: Encoders) -> None:
    factor = encoders.tae.model.config.space_factor
    for shape in map(bucket_shape, sorted(buckets)):
        if shape.height % factor or shape.width % factor:
            raise UserError(
                f"The bucket {shape} has sides that are no multiples of {factor}, as the TAE needs. "
                "Curate the clips into other buckets."
            )


def _take_over(out: Path, mark: str, replace: bool) -> None:
    """Make `out` the folder of `mark`: go on in it, or refuse one that holds something else."""
    note = out / RECEIPTS / "fingerprint.json"
    found = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else None
    if found == mark:
        return
    leftovers = [out / name for name in (*SPLITS, RECEIPTS) if (out / name).exists()]
    if leftovers and not replace:
        raise UserError(
            f"'{out}' holds latents of another TAE, text encoder or set of shards: "
            f"{found} there, {mark} now. Add --replace to remove them and encode anew, or give another --out."
        )
    for folder in leftovers:
        shutil.rmtree(folder)
    write_json(note, mark)


def _receipt(folder: Path, file: str) -> Path:
    return folder.parent / RECEIPTS / folder.name / f"{file}.json"


def _is_done(folder: Path, file: str) -> bool:
    return _receipt(folder, file).is_file() and (folder / file).is_file()


def _encode_shard(shards: Path, row: dict[str, Any], out: Path, encoders: Encoders, tick: OnStep) -> None:
    """Encode the shard of `row` in the folder `shards` into the folder `out`; its receipt comes last."""
    totals = Totals(encoders.channels)
    target = out / row["file"]
    encoded = _encoded(shards / row["file"], bucket_shape(row["bucket"]), encoders, totals, tick)
    samples = write_samples(target, encoded)
    done = {
        "file": row["file"],
        "samples": samples,
        "bytes": target.stat().st_size,
        "sha256": hash_file(target),
        "bucket": row["bucket"],
    }
    write_json(_receipt(out, row["file"]), {"row": done, **totals.to_json()})


def _encoded(
    source: Path, shape: Shape, encoders: Encoders, totals: "Totals", tick: OnStep
) -> Iterator[Sample]:
    """The samples of one shard, encoded a batch at a time."""
    silent = 0  # about the camera
    for batch in _batches(_clips(source, shape, totals, tick), encoders.batch):
        latents = encoders.latents([clip.frames for clip in batch])
        embeddings = encoders.embeddings([encoders.worded(clip.facts) for clip in batch])
        images = encoders.latents([clip.frames[:1] for clip in batch]) if encoders.first_frame else latents
        silent += sum(not clip.facts.get("camera_motion") for clip in batch)
        for clip, latent, embedding, image in zip(batch, latents, embeddings, images, strict=True):
            totals.add(latent, clip.facts["fps"])
            files = {"json": clip.described, "latent.npy": npy(latent), "text.npz": npz(**embedding)}
            yield Sample(clip.key, {**files, "first.npy": npy(image)} if encoders.first_frame else files)
            tick(1)
    if silent and "camera" in encoders.prefix:
        print(f"warning: {silent} clips of {source} name no camera_motion", file=sys.stderr)


def _clips(source: Path, shape: Shape, totals: "Totals", tick: OnStep) -> Iterator[Frames]:
    for sample in read_samples(source):
        try:
            yield decode_clip(sample, shape)
        except UserError as error:
            print(f"warning: left out {sample.key} of {source}: {error}", file=sys.stderr)
            totals.left_out.append(sample.key)
            tick(1)


def _batches(clips: Iterator[Frames], size: int) -> Iterator[list[Frames]]:
    while batch := list(islice(clips, size)):
        yield batch


class Totals:
    """Sums over the latents of a shard, from which the statistics of any number of shards follow."""

    def __init__(self, channels: int) -> None:
        self.sum = np.zeros(channels)
        self.squares = np.zeros(channels)
        self.count = 0  # values of each channel
        self.fps: Counter[str] = Counter()
        self.left_out: list[str] = []

    def add(self, latent: np.ndarray, fps: float) -> None:
        """Count a latent "t c h w" in."""
        values = latent.astype(np.float64)
        self.sum += values.sum(axis=(0, 2, 3))
        self.squares += np.square(values).sum(axis=(0, 2, 3))
        self.count += latent[:, 0].size
        self.fps[str(fps)] += 1

    def to_json(self) -> dict[str, Any]:
        """For a receipt."""
        return {
            "sum": self.sum.tolist(),
            "squares": self.squares.tolist(),
            "count": self.count,
            "fps": dict(self.fps),
            "left_out": self.left_out,
        }


def _write_indices(out: Path, indices: dict[str, Any], mark: str, encoders: Encoders) -> str:
    receipts = {
        split: [json.loads(_receipt(out / split, row["file"]).read_text()) for row in index["shards"]]
        for split, index in indices.items()
    }
    shared = {"format": FORMAT, "fingerprint": mark, **encoders.facts(), **_statistics(receipts["train"])}
    for split in receipts:
        rows = [receipt["row"] for receipt in receipts[split]]
        buckets: Counter[str] = Counter()
        for row in rows:
            buckets[row["bucket"]] += row["samples"]
        own = {
            "shards": rows,
            "samples": sum(buckets.values()),
            "buckets": dict(buckets),
            "left_out": [key for receipt in receipts[split] for key in receipt["left_out"]],
        }
        write_json(out / split / INDEX, {**shared, **own})
    counts = ", ".join(
        f"{sum(receipt['row']['samples'] for receipt in receipts[split])} {split}" for split in receipts
    )
    left_out = sum(len(receipt["left_out"]) for split in receipts for receipt in receipts[split])
    return f"{out}: {counts} clips encoded" + (f", {left_out} left out." if left_out else ".")


def _statistics(receipts: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation of each latent channel over the training clips, and their usual frame rate."""
    count = sum(receipt["count"] for receipt in receipts)
    if not count:
        raise UserError("Not one training clip could be encoded; the warnings above say why.")
    mean = np.sum([receipt["sum"] for receipt in receipts], axis=0) / count
    square = np.sum([receipt["squares"] for receipt in receipts], axis=0) / count
    fps: Counter[str] = Counter()
    for receipt in receipts:
        fps.update(receipt["fps"])
    return {
        "latent_mean": mean.tolist(),
        "latent_std": np.sqrt(square - np.square(mean)).tolist(),
        "fps": float(fps.most_common(1)[0][0]),
    }
