"""Throughput of the TAE beside the video autoencoders of diffusers, all with random weights, in one run.

    python -m benchmarks.tae
    python -m benchmarks.tae --frames 16 --size 256 --only inflated compact

Encode, decode and a training step (forward and backward) of the same clip, contestants in turn, the fastest
of the rounds each. A contestant's operations are counted, so that the table also says what part of the
machine's fastest matrix product they reach. All but "inflated, narrow" have about as many parameters.
diffusers' are causal and take 1 + 4 n frames to n + 1 latents, ours any number t to t / 8, rounded up.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from einops import rearrange
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import conv2d, mse_loss
from torch.utils.flop_counter import FlopCounterMode

from console import command, track
from lightning_modules.allocator import keep_freed_memory
from models.tae import TAE, TAEConfig

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
GEMM = 2048  # rows and columns of the product whose speed is the peak
PASSES = ("encode", "decode", "train")


class Contestant(NamedTuple):
    """An autoencoder behind one face: clips "b t 3 h w" to latents and back."""

    network: nn.Module
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


class Measured(NamedTuple):
    """One pass of one contestant."""

    seconds: float
    operations: int


def main() -> int:
    """Measure in turn, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=17, help="frames of the clip")
    parser.add_argument("--size", type=int, default=128, help="rows and columns, in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: with one thread, where other programs run too",
    )
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    clock = CLOCKS[options.clock]
    clip = torch.rand(1, options.frames, 3, options.size, options.size) * 2 - 1
    contestants = {name: CONTESTANTS[name]() for name in options.only}
    found: dict[tuple[str, str], Measured] = {}
    peak = 0.0
    rounds = [(name, each) for _ in range(options.rounds) for name in contestants for each in options.passes]
    for name, each in track(rounds, "Passes"):
        peak = max(peak, gemm_peak(clock))
        measured = run(prepared(contestants[name], each, clip), clock)
        found[name, each] = min(found.get((name, each), measured), measured)
    Console(width=150).print(table(contestants, options.passes, clip, found, peak))
    return 0


def run(once: Callable[[], Any], clock: Callable[[], float]) -> Measured:
    """Once to warm up, which counts operations, and once with the clock."""
    with FlopCounterMode(display=False) as counter:
        once()
    start = clock()
    once()
    return Measured(clock() - start, counter.get_total_flops())


def prepared(contestant: Contestant, name: str, clip: Tensor) -> Callable[[], Any]:
    """What a pass does, with what it needs at hand."""
    encode, decode = torch.no_grad()(contestant.encode), torch.no_grad()(contestant.decode)
    if name == "encode":
        return lambda: encode(clip)
    if name == "decode":
        latent = encode(clip)
        return lambda: decode(latent)

    def step() -> None:
        back = contestant.decode(contestant.encode(clip))
        mse_loss(back[:, : clip.shape[1]], clip).backward()
        contestant.network.zero_grad()

    return step


def gemm_peak(clock: Callable[[], float]) -> float:
    """Operations a second of the faster of two ways to multiply two large matrices."""
    a, b = torch.randn(2, GEMM, GEMM)
    picture, kernels = a.view(1, 32, GEMM // 32, GEMM).permute(0, 3, 1, 2), b.view(GEMM, GEMM, 1, 1)
    seconds = []
    for product in (lambda: a @ b, lambda: conv2d(picture, kernels)):
        for _ in range(3):
            start = clock()
            product()
            seconds.append(clock() - start)
    return 2 * GEMM**3 / min(seconds)


def ours(**shape: Any) -> Contestant:
    """A TAE of ours."""
    tae = TAE(TAEConfig(**shape))
    return Contestant(tae, lambda clip: tae.encode(clip).mean, tae.decode)


def theirs(name: str, **shape: Any) -> Contestant:
    """A video autoencoder of diffusers."""
    import diffusers

    vae = getattr(diffusers, name)(**shape)
    return Contestant(
        vae,
        lambda clip: vae.encode(rearrange(clip, "b t c h w -> b c t h w")).latent_dist.mode(),
        lambda latent: rearrange(vae.decode(latent).sample, "b c t h w -> b t c h w"),
    )


CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "inflated": lambda: ours(widths=(32, 64, 128, 176), groups=16),
    "inflated, narrow": lambda: ours(widths=(32, 64, 128, 128), groups=16),  # the widths of HunyuanVideo here
    "compact": lambda: ours(halves="compact", widths=(136, 272, 544), blocks=1),
    "CogVideoX": lambda: theirs(
        "AutoencoderKLCogVideoX", block_out_channels=(32, 64, 64, 128), layers_per_block=2, norm_num_groups=16
    ),
    "Wan": lambda: theirs("AutoencoderKLWan", base_dim=28),
    "HunyuanVideo": lambda: theirs(
        "AutoencoderKLHunyuanVideo",
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=1,
        norm_num_groups=16,
    ),
}


def table(
    contestants: dict[str, Contestant],
    passes: Iterable[str],
    clip: Tensor,
    found: dict[tuple[str, str], Measured],
    peak: float,
) -> Table:
    """Contestants down; of each pass megapixels a second, operations a pixel and the part of the peak."""
    frames, size, pixels = clip.shape[1], clip.shape[-1], clip[:, :, 0].numel()
    title = f"{frames} frames of {size} x {size}, matrix products at {peak / 1e9:.0f} GFLOP/s"
    shown = Table("autoencoder", "parameters", title=title)
    for each in passes:
        for column in (f"{each}\nMP/s", "kFLOP a\npixel", "of the\npeak"):
            shown.add_column(column, justify="right")
    for name, contestant in contestants.items():
        parameters = sum(weight.numel() for weight in contestant.network.parameters())
        cells = [f"{parameters / 1e6:.1f}M"]
        for each in passes:
            seconds, operations = found[name, each]
            speed = operations / seconds / peak
            cells += [
                f"{pixels / seconds / 1e6:.3f}", f"{operations / pixels / 1e3:.0f}", f"{100 * speed:.0f} %",
            ]  # fmt: skip
        shown.add_row(name, *cells)
    return shown


if __name__ == "__main__":
    command(main)
