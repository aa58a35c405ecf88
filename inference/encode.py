"""Clips to what the transformer trains on: TAE latents and text embeddings, computed once (Sec. 3.1.4, 3.2).

A shard of clips becomes one shard of latents. A receipt says that a shard is done and what its statistics
are; the index of each split is written last, so a folder with indices is complete.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from console import UserError
from inference.clips import Frames, decode_clip
from inference.encoders import EncodeOptions, Encoders, open_encoders
from inference.jobs import OnStep, ticking
from inference.picked import Picked
from inference.pipeline import Shape
from inference.rates import rates_of
from inference.shards import INDEX, Sample, npy, npz, read_index, read_samples, write_samples
from inference.statistics import COMMAND
from models.tae.moments import LatentMoments
from storage import atomic_path, fingerprint, hash_file, write_json

VERSION = 1  # raise it when the same clips would give other latents
FORMAT = 1  # of the index
SPLITS = ("train", "val")
RECEIPTS = ".receipts"
NULL = "null.npz"  # beside the index: the empty text, which stands for none, as training needs it
FAR = 2.0  # times the deviation of a channel: what a flow trained on unit latents should not be given


def encode(shards: Path, tae: Path, out: Path, options: EncodeOptions, *, replace: bool = False) -> str:
    """Encode the train and val shards of `shards` into `out`, going on where an earlier run stopped.

    Returns a line that says what was done. Latents of another TAE, text encoder or set of shards in `out` are
    a UserError, unless `replace` says to remove them.
    """
    indices = {split: read_index(shards / split) for split in SPLITS if (shards / split / INDEX).is_file()}
    if "train" not in indices:
        read_index(shards / "train")  # says what is missing
    encoders = open_encoders(tae, options)
    mark = _mark(indices, encoders, options)
    _take_over(out, mark, replace)
    rows = [(split, row) for split in indices for row in indices[split]["shards"]]
    _check_shapes({options.picked.shape(row["bucket"]) for _, row in rows}, encoders)
    todo = [(split, row) for split, row in rows if not _is_done(out / split, row["file"])]
    if todo:
        with ticking("Encoding clips", sum(row["samples"] for _, row in todo)) as tick:
            for split, row in todo:
                _encode_shard(shards / split, row, out / split, encoders, tick)
    elif all(_is_whole(out / split) for split in indices):
        return f"{out} is complete: nothing to do."
    return _write_indices(out, indices, mark, encoders)


def _mark(indices: dict[str, Any], encoders: Encoders, options: EncodeOptions) -> str:
    """What latents depend on."""
    marks = [VERSION, indices, encoders.tae.hash, encoders.text.fingerprint]
    marks += [options.prefix] * bool(options.prefix) + ["first"] * options.first_frame + options.picked.marks
    marks += ["its caption alone"] * bool(options.first_frame and options.prefix)
    marks += [{"sure": options.sure}] * ("camera" in options.prefix and options.sure != EncodeOptions.sure)
    return fingerprint(marks if options.tile is None else [*marks, {"tile": options.tile}])


def _check_shapes(shapes: set[Shape], encoders: Encoders) -> None:
    factor = encoders.tae.model.config.space_factor
    for shape in sorted(shapes, key=str):
        if shape.height % factor or shape.width % factor or 0 in (shape.height, shape.width):
            raise UserError(
                f"The bucket {shape} has sides that are no multiples of {factor}, as the TAE needs. "
                "Curate the clips into other buckets, or give another --shrink."
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
            f"'{out}' holds latents of another TAE, text encoder, set of shards, --tile or pick: "
            f"{found} there, {mark} now. Add --replace to remove them and encode anew, or give another --out."
        )
    for folder in leftovers:
        shutil.rmtree(folder)
    write_json(note, mark)


def _is_whole(folder: Path) -> bool:
    """Whether there is an index, and the null text that it names; older versions wrote none."""
    file = folder / INDEX
    return file.is_file() and "null" in json.loads(file.read_text()) and (folder / NULL).is_file()


def _receipt(folder: Path, file: str) -> Path:
    return folder.parent / RECEIPTS / folder.name / f"{file}.json"


def _is_done(folder: Path, file: str) -> bool:
    return _receipt(folder, file).is_file() and (folder / file).is_file()


def _encode_shard(shards: Path, row: dict[str, Any], out: Path, encoders: Encoders, tick: OnStep) -> None:
    """Encode the shard of `row` in the folder `shards` into the folder `out`; its receipt comes last."""
    totals = Totals(encoders.channels)
    target = out / row["file"]
    shape = encoders.picked.shape(row["bucket"])
    samples = write_samples(target, _encoded(shards / row["file"], shape, encoders, totals, tick))
    done = {
        "file": row["file"],
        "samples": samples,
        "bytes": target.stat().st_size,
        "sha256": hash_file(target),
        "bucket": str(shape),
    }
    write_json(_receipt(out, row["file"]), {"row": done, **totals.to_json()})


def _encoded(
    source: Path, shape: Shape, encoders: Encoders, totals: "Totals", tick: OnStep
) -> Iterator[Sample]:
    """The samples of one shard, encoded a batch at a time."""
    silent = 0  # about the camera
    for batch in _batches(_clips(source, shape, encoders.picked, totals, tick), encoders.batch):
        latents = encoders.latents([clip.frames for clip in batch])
        embeddings = encoders.embeddings([encoders.worded(clip.facts, shape.frames) for clip in batch])
        firsts = _firsts(batch, encoders) if encoders.first_frame else [{}] * len(batch)
        silent += sum(not encoders.camera(clip.facts) for clip in batch)
        for clip, latent, embedding, first in zip(batch, latents, embeddings, firsts, strict=True):
            totals.add(latent, clip.facts["fps"])
            files = {"json": clip.described, "latent.npy": npy(latent), "text.npz": npz(**embedding)}
            yield Sample(clip.key, {**files, **first})
            tick(1)
    if silent and "camera" in encoders.prefix:
        print(f"warning: {silent} clips of {source} name no camera_motion that is sure", file=sys.stderr)


def _firsts(batch: list[Frames], encoders: Encoders) -> list[dict[str, bytes]]:
    """The first frames of clips as images, each with its caption where videos have a prefix before it."""
    files = [{"first.npy": npy(latent)} for latent in encoders.latents([clip.frames[:1] for clip in batch])]
    if encoders.prefix:
        alone = encoders.embeddings([encoders.worded(clip.facts, 1) for clip in batch])
        files = [{**each, "first.text.npz": npz(**text)} for each, text in zip(files, alone, strict=True)]
    return files


def _clips(source: Path, shape: Shape, picked: Picked, totals: "Totals", tick: OnStep) -> Iterator[Frames]:
    for sample in read_samples(source):
        if not picked.keeps(source.parent.name, sample.key):
            tick(1)
            continue
        try:
            yield picked.described(decode_clip(sample, shape), shape)
        except UserError as error:
            print(f"warning: left out {sample.key} of {source}: {error}", file=sys.stderr)
            totals.left_out.append(sample.key)
            tick(1)


def _batches(clips: Iterator[Frames], size: int) -> Iterator[list[Frames]]:
    while batch := list(islice(clips, size)):
        yield batch


class Totals:
    """What a shard held: moments of its latents, frame rates, and what was left out."""

    def __init__(self, channels: int) -> None:
        self.moments = LatentMoments(channels)
        self.fps: Counter[str] = Counter()
        self.left_out: list[str] = []

    def add(self, latent: np.ndarray, fps: float) -> None:
        """Count a latent "t c h w" in."""
        self.moments.add(torch.from_numpy(latent)[None])
        self.fps[str(fps)] += 1

    def to_json(self) -> dict[str, Any]:
        """For a receipt."""
        return {**self.moments.to_json(), "fps": dict(self.fps), "left_out": self.left_out}


def _write_indices(out: Path, indices: dict[str, Any], mark: str, encoders: Encoders) -> str:
    receipts = {
        split: [json.loads(_receipt(out / split, row["file"]).read_text()) for row in index["shards"]]
        for split, index in indices.items()
    }
    shared = {"format": FORMAT, "fingerprint": mark, **encoders.facts(), **_rates(receipts["train"])}
    _compare(receipts["train"], encoders)
    _find_all(receipts["train"], encoders.picked)
    shared["null"] = {"text": "", "file": NULL}
    null = npz(**encoders.embeddings([""])[0])
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
        with atomic_path(out / split / NULL) as temporary:
            temporary.write_bytes(null)
        write_json(out / split / INDEX, {**shared, **own})
    counts = ", ".join(
        f"{sum(receipt['row']['samples'] for receipt in receipts[split])} {split}" for split in receipts
    )
    left_out = sum(len(receipt["left_out"]) for split in receipts for receipt in receipts[split])
    return f"{out}: {counts} clips encoded" + (f", {left_out} left out." if left_out else ".")


def _rates(receipts: list[dict[str, Any]]) -> dict[str, Any]:
    """The frame rates of the training clips, and the most frequent one."""
    found = [
        (receipt["row"]["bucket"], float(fps), clips)
        for receipt in receipts
        for fps, clips in receipt["fps"].items()
    ]
    if not found:
        raise UserError("Not one training clip could be encoded; the warnings above say why.")
    return rates_of(found)


def _find_all(receipts: list[dict[str, Any]], picked: Picked) -> None:
    """Warn where clips that were asked for are not there."""
    found = sum(receipt["row"]["samples"] + len(receipt["left_out"]) for receipt in receipts)
    if picked.only is not None and found < len(picked.only):
        print(f"warning: --only names {len(picked.only)} clips; {found} are in train/.", file=sys.stderr)


def _compare(receipts: list[dict[str, Any]], encoders: Encoders) -> None:
    """Warn where the TAE's statistics are not at all those of the training clips."""
    moments = LatentMoments(encoders.channels)
    for receipt in receipts:
        moments.merge(LatentMoments.from_json(receipt).sums)
    found, stored = moments.statistics(), encoders.statistics
    ratio, shift = found.std / stored.std, (found.mean - stored.mean).abs() / stored.std
    if ratio.max() > FAR or ratio.min() < 1 / FAR or shift.max() > FAR:
        print(
            "warning: by the TAE's statistics the latents of these clips have deviations of "
            f"{ratio.min():.2f} to {ratio.max():.2f} and means up to {shift.max():.2f}, not 1 and 0. Were "
            f"they measured on clips of another kind? {COMMAND} {encoders.tae_path} --replace measures anew.",
            file=sys.stderr,
        )
