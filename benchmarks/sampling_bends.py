"""Where a path from noise to data bends, which decides where steps should be short (Sec. 3.4.2, Fig. 10).

    python -m benchmarks.sampling_bends spectrum --exponents 0 1 1.5 2 --grid 16 64 64
    python -m benchmarks.sampling_bends model --model runs/demo/t2v/model --prompts 16

`spectrum`: data are Gaussian, and their deviation at wave number k falls as (1 + k)^-exponent over a latent's
grid, with unit variance on average: 0 is white, 1 about that of natural images. The optimal velocity has a
closed form. Distances are those of benchmarks.sampling. `model`: along 1,000 linear steps of a trained model,
by time: how much its velocity turns, and how much blocks change their input, which is the paper's reason
for short steps in the beginning.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.sampling import REFERENCE, ROWS, Counted, Measured, Sampler, measure
from console import command
from flow.path import SIGMA_MIN
from inference.pipeline import open_pipeline
from inference.sampling import Sampling

EDGES = (0.0, 0.02, 0.1, 0.2, 0.5, 0.8, 1.0)  # of time; the linear half of the paper's schedule ends at 0.1


class Spectrum:
    """Gaussian data whose modes are independent, of the given deviations."""

    def __init__(self, deviations: Tensor) -> None:
        self.variances = deviations.double().square()

    def velocity(self, point: Tensor, time: Tensor) -> Tensor:
        """`E[X_1 - (1 - sigma_min) X_0 | X_t = point]` for points "b modes"."""
        t = time.double().reshape(-1, 1)
        noise = 1 - (1 - SIGMA_MIN) * t
        covariance = t * self.variances - (1 - SIGMA_MIN) * noise
        return covariance / (noise.square() + t.square() * self.variances) * point


def power_law(exponent: float, grid: Sequence[int]) -> Tensor:
    """Deviations of the modes of a grid: (1 + k)^-exponent at wave number k, with a mean square of 1."""
    waves = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in grid), indexing="ij")
    length = torch.stack(waves).square().sum(0).sqrt().flatten()
    fallen = (1 + length) ** -exponent
    return fallen / fallen.square().mean().sqrt()


def of_spectrum(deviations: Tensor) -> dict[str, Measured]:
    """Each sampler, from noise that is one deviation in each mode: what it is on average, without chance."""
    data, noise = Spectrum(deviations), torch.ones(1, len(deviations), dtype=torch.float64)

    def run(sampling: Sampling) -> tuple[Tensor, int]:
        counted = Counted(data.velocity)
        return sampling.solve(counted, noise), counted.calls

    return measure(run, ROWS)


class Turns:
    """How much a velocity turns along the reference, by time.

    From one step to the next the data that it points at move by `(1 - t)` times what it turns: a step along
    the velocity itself does not move them.
    """

    def __init__(self) -> None:
        self.by_time = [0.0] * (len(EDGES) - 1)
        self._times = REFERENCE.times().tolist()
        self._last: Tensor | None = None

    def see(self, done: int, estimate: Tensor) -> None:
        """The data that the velocity of step `done` pointed at."""
        time = self._times[done - 1]
        if self._last is not None:
            moved = (estimate - self._last).flatten(1).norm(dim=1).mean().item()
            self.by_time[interval(time)] += moved / (1 - time)
        self._last = estimate

    def shares(self) -> list[float]:
        """Of all that it turned."""
        return [each / sum(self.by_time) for each in self.by_time]


def interval(time: float) -> int:
    """The place in EDGES of the interval that holds `time`."""
    return max(place for place, edge in enumerate(EDGES[:-1]) if edge <= time + 1e-6)


class Changes:
    """How much each block changes its input, of the norm of the latter, by time."""

    def __init__(self, transformer: nn.Module, blocks: Iterable[nn.Module]) -> None:
        self.by_time: list[list[float]] = [[] for _ in EDGES[1:]]
        self._now = 0
        self._hooks = [transformer.register_forward_pre_hook(self._begin)]
        self._hooks += [block.register_forward_hook(self._block) for block in blocks]

    def _begin(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._now = interval(args[1][0].item())

    def _block(self, _: nn.Module, args: tuple[Any, ...], out: Tensor) -> None:
        change = (out - args[0]).norm(dim=-1) / args[0].norm(dim=-1)
        self.by_time[self._now].append(change.mean().item())

    def means(self) -> list[float]:
        """Mean over blocks, tokens and evaluations of an interval."""
        return [math.fsum(each) / max(1, len(each)) for each in self.by_time]

    def remove(self) -> None:
        """Leave the model as it was."""
        for hook in self._hooks:
            hook.remove()


class Row(NamedTuple):
    """An interval of time: how much the velocity turns in it, of all; how much a block changes its input."""

    turned: float
    changed: float


def of_model(sampler: Sampler) -> list[Row]:
    """Along the reference."""
    transformer = sampler.pipeline.transformer
    turns, changes = Turns(), Changes(transformer, transformer.blocks)
    try:
        sampler.run(REFERENCE, turns.see)
    finally:
        changes.remove()
    return [Row(*each) for each in zip(turns.shares(), changes.means(), strict=True)]


def main() -> int:
    """Measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("spectrum", "model"))
    parser.add_argument("--exponents", type=float, nargs="+", default=[0, 1, 1.5, 2])
    parser.add_argument("--grid", type=int, nargs="+", default=[16, 64, 64], help="of the spectrum's modes")
    parser.add_argument("--model", type=Path, default=Path("runs/demo/t2v/model"))
    parser.add_argument("--tae", type=Path, help="its TAE, if it is not where training found it")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--guidance", type=float, help="(default: the model's own)")
    options = parser.parse_args()
    if options.what == "spectrum":
        Console(width=130).print(spectra(options.exponents, options.grid))
        return 0
    sampler = Sampler(open_pipeline(options.model, options.tae), options.prompts, options.guidance)
    Console(width=110).print(by_time(of_model(sampler), f"{options.model}, guidance {sampler.guidance:g}"))
    return 0


def spectra(exponents: Sequence[float], grid: Sequence[int]) -> Table:
    """Samplers down, exponents across."""
    deviations = [power_law(exponent, grid) for exponent in exponents]
    heads = (f"(1 + k)^-{e:g}, up to {d.max():.3g}" for e, d in zip(exponents, deviations, strict=True))
    table = Table("sampler", *heads, title=f"Gaussian data on a grid of {' x '.join(map(str, grid))}")
    measured = [of_spectrum(each) for each in deviations]
    for name in ROWS:
        table.add_row(name, *(f"{found[name].distance:.4f}" for found in measured))
    return table


def by_time(rows: Sequence[Row], title: str) -> Table:
    """Intervals of time down; steps that two schedules take there beside them."""
    table = Table("time", "steps of linear 50", "of linear-quadratic 50", "velocity turns", "blocks change",
                  title=title)  # fmt: skip
    steps = [
        Counter(interval(time) for time in Sampling(schedule=kind).times()[:-1].tolist())
        for kind in ("linear", "linear-quadratic")
    ]
    for place, ((start, end), row) in enumerate(zip(pairwise(EDGES), rows, strict=True)):
        counts = (str(each[place]) for each in steps)
        table.add_row(f"{start:g} to {end:g}", *counts, f"{row.turned:.1%}", f"{row.changed:.3f}")
    return table


if __name__ == "__main__":
    command(main)
