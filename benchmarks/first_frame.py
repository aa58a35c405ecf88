"""Is the first frame that a clip was given the first frame that it shows?

    python -m benchmarks.first_frame --model runs/demo/i2v/model --clips 32

For held-out clips: the PSNR of a generated clip's first frame against the image it was given, against the
same image where none was given, and, as a ceiling, of the image through the TAE.
"""

import argparse
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from console import UserError, command, track
from evaluation.metrics import psnr
from inference.clips import Frames, decode_clip
from inference.pipeline import Pipeline, open_pipeline
from inference.pixels import to_pixels, to_values
from inference.prompts import Request
from inference.sampling import sampling_for
from inference.shards import read_index, read_samples
from inference.t2v import generate


class Kept(NamedTuple):
    """Mean PSNR in dB of first frames: of clips that were given them, that were not, through the TAE."""

    given: float
    free: float
    ceiling: float


def held_out(shards: Path, pipeline: Pipeline, count: int) -> list[Frames]:
    """The first `count` clips of the bucket that the model makes."""
    found: list[Frames] = []
    for row in read_index(shards)["shards"]:
        if row["bucket"] != str(pipeline.shape):
            continue
        for sample in read_samples(shards / row["file"]):
            if len(found) < count:
                found.append(decode_clip(sample, pipeline.shape))
    if not found:
        raise UserError(f"'{shards}' has no clip of {pipeline.shape}, which the model makes.")
    return found


def measure(pipeline: Pipeline, clips: list[Frames], folder: Path, batch: int) -> Kept:
    """Generate each clip's caption with and without its first frame, which is written to `folder`."""
    sampling = sampling_for(pipeline.facts)
    rows: list[tuple[float, float, float]] = []
    for start in track(range(0, len(clips), batch), "Clips"):
        part = clips[start : start + batch]
        images = [_write(clip.frames[0], folder / f"{start + place}.png") for place, clip in enumerate(part)]
        free = [Request(clip.facts["caption"], start + place) for place, clip in enumerate(part)]
        given = [request._replace(image=image) for request, image in zip(free, images, strict=True)]
        made = [generate(pipeline, asked, sampling)[:, 0] for asked in (given, free)]
        again = _through(pipeline, np.stack([clip.frames[:1] for clip in part]))
        for clip, *shown in zip(part, *made, again, strict=True):
            rows.append(tuple(psnr(frame[None], clip.frames[:1]) for frame in shown))
    return Kept(*(statistics.fmean(column) for column in zip(*rows, strict=True)))


@torch.no_grad()
def _through(pipeline: Pipeline, images: np.ndarray) -> np.ndarray:
    mean = pipeline.tae.encode(to_values(images).to(pipeline.device)).mean
    return to_pixels(pipeline.tae.decode(mean, frames=1))[:, 0]


def _write(pixels: np.ndarray, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return str(path)


def main() -> int:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("runs/demo/i2v/model"))
    parser.add_argument("--tae", type=Path, help="its TAE, if it is not where training found it")
    parser.add_argument("--shards", type=Path, default=Path("data/demo/curated/shards/val"))
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("outputs/first-frames"), help="folder of the images")
    options = parser.parse_args()
    if min(options.clips, options.batch) < 1:
        raise UserError("--clips and --batch must be at least 1.")
    pipeline = open_pipeline(options.model, options.tae)
    clips = held_out(options.shards, pipeline, options.clips)
    kept = measure(pipeline, clips, options.out, options.batch)
    print(f"PSNR of the first frames of {len(clips)} held-out clips: given {kept.given:.1f} dB, "
          f"not given {kept.free:.1f} dB, the image through the TAE {kept.ceiling:.1f} dB")  # fmt: skip
    return 0


if __name__ == "__main__":
    command(main)
