"""How near a sampler comes to the solution of 1,000 linear steps; what a cache of blocks costs and saves.

    python -m benchmarks.sampling mixture
    python -m benchmarks.sampling model --model runs/demo/t2v/model --prompts 32 --size 1.3 --pace 0.4

`mixture` needs no model: data are a mixture of Gaussians, whose optimal velocity has a closed form.
`model` samples a trained one for held-out prompts of the toy world, at its own guidance. A distance is
that of a sample from the one that 1,000 linear Euler steps make of its noise, over the norm of the
latter, averaged over samples. The number of evaluations stands beside, since that is what a step costs.
Of a model, the decoded clips are compared too, and scored for what their prompts asked.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from console import UserError, command
from evaluation.metrics.psnr import psnr
from evaluation.toy_world.scene import USUAL, Staging
from evaluation.toy_world.score import CHOICES, accuracy, held_out_prompts
from evaluation.toy_world.settings import add_staging, checked_staging
from flow.loss import Velocity
from flow.path import SIGMA_MIN
from inference.pipeline import Pipeline, open_pipeline
from inference.pixels import to_pixels
from inference.prompts import Request
from inference.sampling import Sampling, sampling_for
from inference.t2v import OnEstimate, sample_latent

REFERENCE = Sampling(schedule="linear", steps=1000)
ROWS = {
    "linear, 50": Sampling(schedule="linear", steps=50),
    "linear, 100": Sampling(schedule="linear", steps=100),
    "linear, 250": Sampling(schedule="linear", steps=250),
    "linear-quadratic, 50 for 250": Sampling(),
    "linear-quadratic, 50 for 100": Sampling(emulated=100),
    "linear-quadratic, 50 for 500": Sampling(emulated=500),
    "linear-quadratic-flat, 50 for 250": Sampling(schedule="linear-quadratic-flat"),
    "linear, midpoint, 25": Sampling(schedule="linear", method="midpoint", steps=25),
    "linear, Heun, 25": Sampling(schedule="linear", method="heun", steps=25),
    "linear-quadratic, midpoint, 25 for 125": Sampling(method="midpoint", steps=25, emulated=125),
    "linear-quadratic, Heun, 25 for 125": Sampling(method="heun", steps=25, emulated=125),
    "dopri5, tolerance 0.001": Sampling(method="dopri5"),
}
CACHES = (0.02, 0.05, 0.1, 0.2)


class Measured(NamedTuple):
    """Distance to the reference, mean and median over samples, evaluations, and what else was seen."""

    distance: float
    median: float
    evaluations: int
    seen: dict[str, float]


Look = Callable[[Tensor], dict[str, float]]  # what is seen of samples, by name


def blind(wanted: Tensor) -> Look:
    """Nothing is seen of points that are no clips."""
    return lambda found: {}


class Mixture:
    """`count` Gaussians of deviation `width` at random places; all data have about unit variance."""

    def __init__(self, features: int, count: int, width: float, generator: torch.Generator) -> None:
        self.width = width
        self.means = torch.randn(count, features, generator=generator) * (1 - width**2) ** 0.5

    def velocity(self, point: Tensor, time: Tensor) -> Tensor:
        """`E[X_1 - (1 - sigma_min) X_0 | X_t = point]`, the optimum of Eq. 2, for points "b d"."""
        t = time.reshape(-1, 1, 1)
        noise, data = 1 - (1 - SIGMA_MIN) * t, t * self.width
        variance = noise.square() + data.square()
        away = point[:, None] - t * self.means
        logits = -away.square().sum(-1, keepdim=True) / (2 * variance)
        slope = (data * self.width - (1 - SIGMA_MIN) * noise) / variance
        return (torch.softmax(logits, dim=1) * (self.means + slope * away)).sum(1)


def apart(found: Tensor, wanted: Tensor) -> Tensor:
    """Of each sample "b ...": the norm of its difference over that of `wanted`."""
    return (found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)


def distance(found: Tensor, wanted: Tensor) -> float:
    """The mean of `apart`."""
    return apart(found, wanted).mean().item()


def measure(
    run: Callable[[Sampling], tuple[Tensor, int]],
    rows: dict[str, Sampling],
    beside: Callable[[Tensor], Look] = blind,
) -> dict[str, Measured]:
    """Each of `rows`, held against REFERENCE; `beside` looks at samples beside those of the reference."""
    wanted, _ = run(REFERENCE)
    look = beside(wanted)
    found = {}
    for name, sampling in rows.items():
        latent, evaluations = run(sampling)
        each = apart(latent, wanted)
        seen = look(latent)
        found[name] = Measured(each.mean().item(), each.median().item(), evaluations, seen)
    return found


def of_mixture(features: int, width: float, samples: int) -> dict[str, Measured]:
    """On the closed form."""
    generator = torch.Generator().manual_seed(0)
    mixture = Mixture(features, 64, width, generator)
    noise = torch.randn(samples, features, generator=generator)

    def run(sampling: Sampling) -> tuple[Tensor, int]:
        counted = Counted(mixture.velocity)
        return sampling.solve(counted, noise), counted.calls

    return measure(run, ROWS)


class Counted:
    """A velocity that counts its evaluations."""

    def __init__(self, velocity: Velocity) -> None:
        self.velocity, self.calls = velocity, 0

    def __call__(self, point: Tensor, time: Tensor) -> Tensor:
        self.calls += 1
        return self.velocity(point, time)


class Sampler:
    """A trained model and the prompts that it is asked for, at its own guidance or another."""

    def __init__(
        self, pipeline: Pipeline, prompts: int, guidance: float | None = None, staging: Staging = USUAL
    ) -> None:
        self.pipeline, self.staging = pipeline, staging
        self.guidance = sampling_for(pipeline.facts, guidance=guidance).guidance
        prompted = held_out_prompts(prompts, 0, staging=staging)
        self.asked = [Request(prompt, seed) for seed, (prompt, _) in enumerate(prompted)]
        self.expected = [expected for _, expected in prompted]

    def run(self, sampling: Sampling, on_estimate: OnEstimate | None = None) -> tuple[Tensor, int]:
        """Latents, and how often the model was asked for them."""
        calls = []
        handle = self.pipeline.transformer.register_forward_pre_hook(lambda *_: calls.append(1))
        guided = dataclasses.replace(sampling, guidance=self.guidance)
        shape = self.pipeline.shape
        try:
            latent = sample_latent(self.pipeline, self.asked, guided, shape, on_estimate=on_estimate)
        finally:
            handle.remove()
        return latent, len(calls)

    def beside(self, wanted: Tensor) -> Look:
        """PSNR of clips against the reference's, in dB, and how much of what was asked they show."""
        references = self.decode(wanted)

        def look(latent: Tensor) -> dict[str, float]:
            clips = self.decode(latent)
            right = accuracy(list(clips), self.expected, self.staging.pace)
            shares = [share for name, share in right.items() if name in CHOICES]
            each = [psnr(clip, reference) for clip, reference in zip(clips, references, strict=True)]
            return {"PSNR, dB": statistics.fmean(each), "right, %": 100 * statistics.fmean(shares)}

        return look

    @torch.no_grad()
    def decode(self, latent: Tensor) -> np.ndarray:
        """Clips "b t h w 3"."""
        whole = self.pipeline.denormalise(latent)
        return to_pixels(self.pipeline.tae.decode(whole, frames=self.pipeline.shape.frames))

    def seconds(self, sampling: Sampling) -> float:
        """Time of one run."""
        start = time.perf_counter()
        self.run(sampling)
        return time.perf_counter() - start


class CacheRow(NamedTuple):
    """A cache's tolerance, time over that without, errors, and what as many fewer steps do in that time."""

    tolerance: float
    time: float
    to_plain: float
    to_reference: float
    fewer: int
    fewer_to_reference: float


def of_cache(sampler: Sampler, rounds: int) -> list[CacheRow]:
    """Times are medians of ratios of runs in turn, so that what else the machine does hits both."""
    reference, plain = sampler.run(REFERENCE)[0], sampler.run(Sampling())[0]
    found = []
    for tolerance in CACHES:
        cached = Sampling(cache=tolerance)
        latent = sampler.run(cached)[0]
        ratios = [sampler.seconds(cached) / sampler.seconds(Sampling()) for _ in range(rounds)]
        ratio = statistics.median(ratios)
        fewer = max(2, round(Sampling().steps * ratio))
        short = sampler.run(Sampling(steps=fewer))[0]
        to_plain, to_reference = distance(latent, plain), distance(latent, reference)
        found.append(CacheRow(tolerance, ratio, to_plain, to_reference, fewer, distance(short, reference)))
    return found


def main() -> int:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("mixture", "model"))
    parser.add_argument("--features", type=int, default=256, help="dimensions of the mixture")
    parser.add_argument("--width", type=float, default=0.3, help="deviation of its Gaussians")
    parser.add_argument("--samples", type=int, default=64, help="of the mixture")
    parser.add_argument("--model", type=Path, default=Path("runs/demo/t2v/model"))
    parser.add_argument("--tae", type=Path, help="its TAE, if it is not where training found it")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--guidance", type=float, help="(default: the model's own)")
    add_staging(parser)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs for each time of the cache")
    options = parser.parse_args()
    staging = checked_staging(Staging(size=options.size, pace=options.pace, gap=options.gap))
    if not 0 < options.width < 1:
        raise UserError(f"--width must be above 0 and below 1; {options.width} came.")
    if min(options.features, options.samples, options.prompts, options.rounds) < 1:
        raise UserError("--features, --samples, --prompts and --rounds must be at least 1.")
    console = Console(width=110)
    if options.what == "mixture":
        console.print(
            distances(of_mixture(options.features, options.width, options.samples), "Gaussian mixture")
        )
        return 0
    pipeline = open_pipeline(options.model, options.tae)
    sampler = Sampler(pipeline, options.prompts, options.guidance, staging)
    console.print(
        distances(
            measure(sampler.run, ROWS, sampler.beside), f"{options.model}, guidance {sampler.guidance:g}"
        )
    )
    console.print(caches(of_cache(sampler, options.rounds)))
    return 0


def distances(rows: dict[str, Measured], title: str) -> Table:
    """Samplers down."""
    more = dict.fromkeys(name for row in rows.values() for name in row.seen)
    shown = Table("sampler", "evaluations", "distance to 1,000 linear steps", "median", *more, title=title)
    for name, row in rows.items():
        seen = (f"{row.seen[each]:.1f}" for each in more)
        shown.add_row(name, str(row.evaluations), f"{row.distance:.4f}", f"{row.median:.4f}", *seen)
    return shown


def caches(rows: list[CacheRow]) -> Table:
    """Tolerances down."""
    shown = Table(
        "cache", "time", "from no cache", "from the reference", "steps in that time", "their distance",
        title="Block cache, 50 linear-quadratic steps",
    )  # fmt: skip
    for row in rows:
        shown.add_row(
            f"{row.tolerance:g}", f"{row.time:.2f}", f"{row.to_plain:.4f}", f"{row.to_reference:.4f}",
            str(row.fewer), f"{row.fewer_to_reference:.4f}",
        )  # fmt: skip
    return shown


if __name__ == "__main__":
    command(main)
