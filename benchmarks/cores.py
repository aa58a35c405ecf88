"""What to do with the cores of a processor: python -m benchmarks.cores

A step of training of the size of configs/t2v.yaml on random latents: by one process of as many threads as
there are cores, and by as many processes of one thread (DDP with gloo) that share the batch; blocks as they
are and compiled (`--model.execution.compile true`). The arms take turns, `--rounds` times; a round is the
median over steps of the slowest process, a row the median over rounds.
"""

import argparse
import os
import statistics
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.optimizer import CONFIG, Contestant, batch_of, contestant, shape_of, timed_step
from benchmarks.turns import CLOCKS
from console import UserError, command, track
from lightning_modules.allocator import keep_freed_memory
from models.transformer import TransformerConfig
from models.transformer.execution import compile_blocks
from parallel.plan.calibrate import free_port

WARM = 3  # the first compiles, and the next find out what is compiled


class Arm(NamedTuple):
    """How the cores share the work."""

    processes: int
    threads: int
    compiled: bool

    def __str__(self) -> str:
        processes = f"{self.processes} process{'es' * (self.processes > 1)}"
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{processes} of {threads}{', compiled' * self.compiled}"


class Work(NamedTuple):
    """What every arm does."""

    shape: TransformerConfig
    batch: int
    steps: int


def main() -> int:
    """Run the arms in turn, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--batch", type=int, default=32, help="clips of all processes together")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=20, help="of each arm and round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.cores < 1 or options.batch % options.cores:
        raise UserError(
            f"--batch {options.batch} must be a multiple of --cores, which share it; {options.cores} came."
        )
    if min(options.batch, options.steps, options.rounds) < 1:
        raise UserError("--batch, --steps and --rounds must each be at least 1.")
    work = Work(shape_of(options.config), options.batch, options.steps)
    seconds = {arm: [] for arm in arms(options.cores)}
    for _, arm in track([(turn, arm) for turn in range(options.rounds) for arm in seconds], "Arms"):
        seconds[arm].append(measure(arm, work))
    title = f"{options.config}, {options.batch} clips, {options.cores} cores"
    Console(width=110).print(table_of(title, options.batch, seconds))
    return 0


def arms(cores: int) -> list[Arm]:
    """One process or many, compiled or not; the first is what others are compared with."""
    shared = [(cores, 1), (1, cores)] if cores > 1 else [(1, 1)]
    return [Arm(*each, compiled) for compiled in (False, True) for each in shared]


def measure(arm: Arm, work: Work) -> float:
    """The median of a step's seconds, of the slowest process of `arm`."""
    answers = torch.multiprocessing.get_context("spawn").SimpleQueue()
    torch.multiprocessing.spawn(_worker, (free_port(), arm, work, answers), nprocs=arm.processes)
    taken = [answers.get() for _ in range(arm.processes)]
    return statistics.median(max(step) for step in zip(*taken, strict=True))


def _worker(rank: int, port: int, arm: Arm, work: Work, answers: Any) -> None:
    torch.set_num_threads(arm.threads)
    keep_freed_memory()
    model, optimizer = contestant(work.shape, "muon")
    if arm.compiled:
        compile_blocks(model)
    trained: nn.Module = model
    if arm.processes > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=arm.processes)
        trained = DistributedDataParallel(model)
    loss = batch_of(work.batch // arm.processes, work.shape)
    stepped = partial(timed_step, Contestant(trained, optimizer), partial(loss, trained), CLOCKS["wall"])
    taken = [stepped().step for _ in range(WARM + work.steps)]
    answers.put(taken[WARM:])
    if arm.processes > 1:
        dist.barrier()
        dist.destroy_process_group()


def table_of(title: str, clips: int, seconds: dict[Arm, list[float]]) -> Table:
    """A row an arm: how many clips it trains on in a second, over those of the first."""
    table = Table(title=title)
    for column in ("", "step, ms", "clips a second", "over the first", "over rounds"):
        table.add_column(column, justify="right")
    firsts = next(iter(seconds.values()))
    for arm, rounds in seconds.items():
        step = statistics.median(rounds)
        ratios = sorted(first / each for first, each in zip(firsts, rounds, strict=True))
        table.add_row(
            str(arm),
            f"{1e3 * step:.0f}",
            f"{clips / step:.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
        )
    return table


if __name__ == "__main__":
    command(main)
