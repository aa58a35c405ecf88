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
from evaluation.facts import run_facts
from evaluation.metrics import psnr, ssim
from inference.clips import Frames, bucket_shape, decode_clip
from inference.pipeline import pick_device
from inference.shards import read_index, read_samples
from inference.t2v import to_pixels, to_values
from inference.video import write_video
from inference.weights import load_model
from models.tae import TAE
from storage import write_json

PICTURES = 6  # side-by-side videos, evenly from the worst clip to the best
GAP = 4  # white columns between original and reconstruction


class Scored(NamedTuple):
    """One clip and how well it came back."""

    clip_id: str
    caption: str
    psnr: float
    ssim: float


def evaluate_tae(model: Path, shards: Path, out: Path, limit: int | None, device: str) -> dict[str, Any]:
    """Score the TAE in `model` on the first `limit` clips of `shards`; write `out` and videos beside it."""
    loaded = load_model(model, expect=TAE)
    tae = loaded.model.to(pick_device(device))
    index = read_index(shards)
    total = min(index["samples"], limit or index["samples"])
    if not total:
        raise UserError(f"There is no clip in '{shards}'. Evaluate on shards that hold clips.")
    start = time.monotonic()
    clips = track(islice(_clips(shards, index), limit), "Reconstructing", total)
    scores = [_score(clip, reconstruct(tae, clip.frames)) for clip in clips]
    seconds = time.monotonic() - start
    scores.sort(key=lambda score: score.psnr)
    chosen = {
        scores[place]
        for place in np.linspace(0, len(scores) - 1, min(PICTURES, len(scores))).round().astype(int)
    }
    result = {
        "model": loaded.hash,
        "shards": str(shards),
        "bucket": ", ".join(index["buckets"]),
        "count": len(scores),
        "psnr": _summary([score.psnr for score in scores]),
        "ssim": _summary([score.ssim for score in scores]),
        "seconds": round(seconds, 1),
        "clips": [score._asdict() for score in scores],
        "videos": _write_pairs(tae, _clips(shards, index), chosen, out.parent / out.stem),
        "run": run_facts(),
    }
    write_json(out, result)
    return result


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


def _score(clip: Frames, back: np.ndarray) -> Scored:
    return Scored(clip.key, clip.facts["caption"], psnr(back, clip.frames), ssim(back, clip.frames))


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
