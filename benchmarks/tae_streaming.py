"""Memory and time of decoding in tiles, against decoding at once; and what is to be seen of the seams.

    python -m benchmarks.tae_streaming
    python -m benchmarks.tae_streaming --tae runs/demo/tae/model --video film.mp4

Each decoding is a process of its own, whose highest resident memory above that of the loaded model is read
from Linux. Latents are noise, as many as asked for, made and decoded piece by piece; pictures are dropped.
With --video, the reconstruction in tiles is compared with the whole one, in quality and at the seams.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from console import UserError, command, track
from evaluation.metrics import psnr
from inference.t2v import to_pixels
from inference.tiles import Fit, parse_tile, tiled
from inference.video import read_video
from inference.weights import load_model
from models.tae import TAE
from models.tae.presets import PRESETS
from models.tae.seams import seam_contrast
from models.tae.tiling import COLUMNS, ROWS, TIME, TiledTAE

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
AXES = {TIME: "time", ROWS: "rows", COLUMNS: "columns"}
COMPARED = 128  # frames of a video that are decoded at once for comparison


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = found.add_argument
    add("--tae", type=Path, help="model folder (default: random weights of --preset)")
    add("--preset", choices=PRESETS, default="tiny")
    add("--frames", type=int, nargs="+", default=[64, 256, 1024])
    add("--size", type=int, default=64, help="rows and columns, in pixels")
    add("--tile", default="32", help="as inference.run reads it")
    add("--whole-until", type=int, default=256, help="frames that are decoded at once at most")
    add("--video", type=Path, help="compare the reconstructions of this file")
    add("--one", choices=["tiles", "whole"], help=argparse.SUPPRESS)
    return found


def main() -> int:
    """Measure, print; or be one of the processes that are measured."""
    options = parser().parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return 0
    if not RESET.exists():
        raise UserError(f"Memory is read from {RESET}, which only Linux has.")
    runs = [("tiles", frames) for frames in options.frames]
    runs += [("whole", frames) for frames in options.frames if frames <= options.whole_until]
    Console(width=110).print(
        table([(way, frames, apart(way, frames)) for way, frames in track(runs, "Runs")])
    )
    if options.video is not None:
        compare(options)
    return 0


def apart(way: str, frames: int) -> dict[str, float]:
    """`measure` in a process of its own, with the options of this one."""
    own = [sys.executable, "-m", "benchmarks.tae_streaming", *sys.argv[1:]]
    done = subprocess.run(
        [*own, "--one", way, "--frames", str(frames)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{way}, {frames} frames: {done.stderr[-1000:]}")
    return json.loads(done.stdout)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Megabytes above the loaded model at the highest, and seconds, of decoding `frames`."""
    model, (frames,) = open_model(options), options.frames
    halves = tiled(model, options.tile)
    with torch.no_grad():
        for piece in noise(model, 8, options.size):
            to_pixels(model.decode(piece))  # the first call sets up what later ones use
    RESET.write_text("5")  # the highest mark is that of now
    before, start = resident("VmRSS"), time.perf_counter()
    pieces = noise(model, frames, options.size)
    with torch.no_grad():
        if options.one == "tiles":
            for part in halves.decode_stream(pieces):
                to_pixels(part)
        else:
            to_pixels(model.decode(torch.cat(list(pieces), dim=TIME), frames))
    return {"peak": resident("VmHWM") - before, "model": before, "seconds": time.perf_counter() - start}


def open_model(options: argparse.Namespace) -> TAE:
    """Of the folder, or random."""
    if options.tae is not None:
        return load_model(options.tae, expect=TAE).model
    return TAE(PRESETS[options.preset]).eval().requires_grad_(False)


def noise(model: TAE, frames: int, size: int) -> Iterator[Tensor]:
    """Latents "1 1 c h w" of so many frames, one at a time."""
    config, generator = model.config, torch.Generator().manual_seed(0)
    side = size // config.space_factor
    for _ in range(-(-frames // config.time_factor)):
        yield torch.randn(1, 1, config.latent_channels, side, side, generator=generator)


def resident(name: str) -> float:
    """Megabytes by that name in the process's status."""
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    assert found, name
    return int(found[1]) / 1024


def table(rows: list[tuple[str, int, dict[str, float]]]) -> Table:
    """A row for each run; memory also as a ratio to the shortest run in tiles."""
    first = rows[0][2]
    shown = Table("decoded", "frames", "MB above the model", "ratio", "ratio with the model", "ms per frame")
    for way, frames, found in rows:
        ratio = found["peak"] / first["peak"]
        whole = (found["peak"] + found["model"]) / (first["peak"] + first["model"])
        cells = (
            f"{found['peak']:.1f}",
            f"{ratio:.2f}",
            f"{whole:.2f}",
            f"{1000 * found['seconds'] / frames:.1f}",
        )
        shown.add_row("in tiles" if way == "tiles" else "at once", str(frames), *cells)
    return shown


@torch.no_grad()
def compare(options: argparse.Namespace) -> None:
    """Print the quality of both reconstructions, their distance, and the contrast of seams in each."""
    model = open_model(options)
    frames = read_video(options.video, max_frames=COMPARED)
    height, width = frames.shape[1:3]
    fit = Fit.cropped(height, width, model.config.space_factor)
    video = fit.apply(frames)
    reference = to_pixels(video)[0]
    in_tiles = TiledTAE(model, parse_tile(options.tile))
    decoded = {
        "at once": model.decode(model.encode(video).mean, len(frames)),
        "in tiles": in_tiles.decode(in_tiles.encode(video).mean, len(frames)),
    }
    seams = in_tiles.seams(len(frames), fit.height, fit.width)
    shown = Table("reconstructed", "PSNR, dB", *(f"contrast of seams in {name}" for name in AXES.values()))
    for way, found in {"original": video, **decoded}.items():
        quality = "" if way == "original" else f"{psnr(to_pixels(found)[0], reference):.2f}"
        shown.add_row(way, quality, *(contrast(found, seams[axis], axis) for axis in AXES))
    whole, parts = (to_pixels(found)[0] for found in decoded.values())
    shown.caption = f"PSNR of one against the other: {psnr(parts, whole):.2f} dB, {len(frames)} frames"
    Console(width=110).print(shown)


def contrast(video: Tensor, seams: list[int], axis: int) -> str:
    """Of the seams, if there are any."""
    return f"{seam_contrast(video, seams, axis):.3f}" if seams else "no seams"


if __name__ == "__main__":
    command(main)
