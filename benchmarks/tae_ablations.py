"""The paper's ablations of the TAE at the size of the toy world (Tables 11 and 12), on several seeds.

    python -m benchmarks.tae_ablations --shards data/demo/curated/shards --steps 80 --seeds 3

Every run is a `lightning fit` of configs/tae.yaml with the options of its arm, in a folder of its own: stop
the command whenever you like, the same one goes on where it was. It prints one table: each arm's mean and
standard deviation over seeds, of held-out clips, of their first frames as images, and of outlying positions.
"""

import argparse
import statistics
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from benchmarks.over_seeds import over_seeds, run
from console import command, track
from evaluation.metrics import psnr, ssim
from inference.clips import bucket_shape, decode_clip
from inference.shards import read_index, read_samples
from inference.t2v import to_pixels, to_values
from inference.weights import load_model
from models.tae import TAE
from models.tae.losses import outlier_map

COMPACT = "--model.tae.latent_channels=16 --data.images.share=0.25"
SMALL = "--model.tae.widths=[16,32,64,64] --model.tae.groups=8"
ARMS = {
    "compact, 16 channels, OPL, 25 % images": COMPACT,
    "without OPL": f"{COMPACT} --model.loss.outlier=0",
    "8 channels": "--model.tae.latent_channels=8 --data.images.share=0.25",
    "without images": "--model.tae.latent_channels=16 --data.images.share=0",
    "inflated, 2.5D": f"{COMPACT} {SMALL} --model.tae.halves=inflated",
    "inflated, 3D": f"{COMPACT} {SMALL} --model.tae.halves=inflated_3d",
}
SCORES = ("video PSNR", "video SSIM", "image PSNR", "image SSIM", "hot positions, %")
HOT = 3.0  # r of Eq. 1


def main() -> int:
    """Train what is missing, score all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shards", type=Path, default=Path("data/demo/curated/shards"))
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--batch", type=int, default=8, help="clips in a batch")
    parser.add_argument("--clips", type=int, default=32, help="held-out clips to score")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations/tae"))
    options = parser.parse_args()
    clips = list(islice(held_out(options.shards), options.clips))
    rows: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    runs = [(seed, number, arm) for seed in range(options.seeds) for number, arm in enumerate(ARMS)]
    for seed, number, arm in track(runs, "Runs"):
        folder = options.out / f"{number}-seed{seed}"
        fit(folder, ARMS[arm], options, seed)
        rows[arm].append(score(load_model(folder / "model", expect=TAE).model, clips))
    title = f"{options.steps} steps, {options.seeds} seeds, {len(clips)} clips"
    Console(width=120).print(over_seeds(rows, SCORES, title, digits=3))
    return 0


def fit(folder: Path, arm: str, options: argparse.Namespace, seed: int) -> None:
    """Train one arm, or what is left of it."""
    steps = options.steps
    settings = [
        "-c", "configs/tae.yaml", *arm.split(),
        f"--run_dir={folder}", f"--seed_everything={seed}", f"--data.shards={options.shards}",
        f"--data.seed={seed}", f"--data.batch_size={options.batch}", "--trainer.limit_val_batches=1",
        f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps}", f"--samples.every={steps}",
        "--mlflow.enabled=false",
    ]  # fmt: skip
    run("lightning_modules.cli", "fit", *settings)


def held_out(shards: Path) -> Iterator[Tensor]:
    """The clips of val/ as "1 t 3 h w" in [-1, 1]."""
    index = read_index(shards / "val")
    for row in index["shards"]:
        for sample in read_samples(shards / "val" / row["file"]):
            yield to_values(decode_clip(sample, bucket_shape(row["bucket"])).frames[None])


@torch.no_grad()
def score(tae: TAE, clips: list[Tensor]) -> list[float]:
    """The mean over clips of each of `SCORES`."""
    tae.requires_grad_(False)
    per_clip = []
    for clip in clips:
        mean = tae.encode(clip).mean
        video = (to_pixels(tae.decode(mean, frames=clip.shape[1])), to_pixels(clip))
        image = (to_pixels(tae.decode(tae.encode(clip[:, :1]).mean, frames=1)), to_pixels(clip[:, :1]))
        hot = (outlier_map(mean) > HOT).float().mean().item()
        pairs = [measure(a[0], b[0]) for a, b in (video, image) for measure in (psnr, ssim)]
        per_clip.append([*pairs, 100 * hot])
    return [statistics.fmean(column) for column in zip(*per_clip, strict=True)]


if __name__ == "__main__":
    command(main)
