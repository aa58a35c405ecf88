"""How well a TAE gives held-out clips back: scores, and videos beside the originals from worst to best."""

import statistics
import time
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from console import UserError, track
from evaluation.comparison import OURS, Comparison, ComparisonConfig, open_comparison
from evaluation.facts import run_facts
from inference.clips import Frames, bucket_shape, decode_clip
from inference.pipeline import pick_device
from inference.shards import read_index, read_samples
from inference.t2v import to_pixels, to_values
from inference.video import write_video
from inference.weights import load_model
from models.tae import TAE
from storage import write_json

PICTURES = 6  # side-by-side videos, evenly from the worst clip to the best
BY_CLIP = ("psnr", "ssim", "perceptual")  # what each clip has a number of
GAP = 4  # white columns between original and reconstruction


class Scored(NamedTuple):
    """One clip and how well it came back."""

    clip_id: str
    caption: str
    psnr: float
    ssim: float
    perceptual: float


class Clips(NamedTuple):
    """The first `limit` clips of a folder of shards; all without a limit."""

    shards: Path
    limit: int | None = None


def evaluate_tae(
    model: Path, clips: Clips, out: Path, config: ComparisonConfig, device: str
) -> dict[str, Any]:
    """Score the TAE in `model`, and its peers, on `clips`; write `out` and videos beside it."""
    loaded, index = load_model(model, expect=TAE), read_index(clips.shards)
    tae = loaded.model.to(pick_device(device))
    comparison = open_comparison(config, tae, pick_device(device))
    start = time.monotonic()
    captions = _shown_to(comparison, clips, index)
    compared = comparison.result()
    seconds = time.monotonic() - start
    known = comparison.tallies[OURS].scores
    scores = sorted(
        (Scored(key, captions[key], *score.measures) for key, score in known.items()),
        key=lambda score: score.psnr,
    )
    places = np.linspace(0, len(scores) - 1, min(PICTURES, len(scores))).round().astype(int)
    chosen = {scores[place] for place in places}
    result = {
        "model": loaded.hash,
        "shards": str(clips.shards),
        "bucket": ", ".join(index["buckets"]),
        "count": len(scores),
        **{name: _summary([getattr(score, name) for score in scores]) for name in BY_CLIP},
        "comparison": compared.as_json(),
        "seconds": round(seconds, 1),
        "clips": [score._asdict() for score in scores],
        "videos": _write_pairs(tae, _clips(clips.shards, index), chosen, out.parent / out.stem),
        "run": run_facts(),
    }
    write_json(out, result)
    compared.print()
    return result


def _shown_to(comparison: Comparison, clips: Clips, index: dict[str, Any]) -> dict[str, str]:
    """Let the comparison see the clips, one at a time; gives their captions."""
    total = min(index["samples"], clips.limit or index["samples"])
    if not total:
        raise UserError(f"There is no clip in '{clips.shards}'. Evaluate on shards that hold clips.")
    captions = {}
    for clip in track(islice(_clips(clips.shards, index), clips.limit), "Reconstructing", total):
        captions[clip.key] = clip.facts["caption"]
        comparison.update(to_values(clip.frames[None]).to(comparison.device), [clip.key])
    return captions


@torch.no_grad()
def reconstruct(tae: TAE, frames: np.ndarray) -> np.ndarray:
    """uint8 "t h w 3" through the latent's mean and back."""
    device = next(tae.parameters()).device
    latent = tae.encode(to_values(frames[None]).to(device)).mean
    return to_pixels(tae.decode(latent, frames=len(frames)))[0]


def _clips(shards: Path, index: dict[str, Any]) -> Iterator[Frames]:
    for row in index["shards"]:
        shape = bucket_shape(row["bucket"])
        for sample in read_samples(shards / row["file"]):
            try:
                yield decode_clip(sample, shape)
            except UserError as error:
                raise UserError(f"The clip {sample.key} of {shards / row['file']}: {error}") from error


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "mean": statistics.fmean(values),
        "median": statistics.median(values),
        "worst": min(values),
        "best": max(values),
    }


def _write_pairs(
    tae: TAE, clips: Iterator[Frames], chosen: Collection[Scored], folder: Path
) -> list[dict[str, Any]]:
    """Original | reconstruction of each chosen clip as an mp4, from worst to best."""
    by_id = {score.clip_id: score for score in chosen}
    written = []
    for clip in clips:
        score = by_id.get(clip.key)
        if score is not None:
            gap = np.full((*clip.frames.shape[:2], GAP, 3), 255, np.uint8)
            pair = np.concatenate([clip.frames, gap, reconstruct(tae, clip.frames)], axis=2)
            path = folder / f"{clip.key}.mp4"
            write_video(path, pair, clip.facts["fps"])
            written.append({"file": str(path.relative_to(folder.parent)), **score._asdict()})
        if len(written) == len(by_id):
            break
    return sorted(written, key=lambda row: row["psnr"])
