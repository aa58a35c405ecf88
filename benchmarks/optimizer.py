"""What a step of Muon costs over one of AdamW on configs/t2v.yaml: python -m benchmarks.optimizer

Each optimizer trains a model of its own on random latents of the demo's shape, a step of each in turn, so
that what else the machine does falls on all. `one by one` makes Muon's matrices orthogonal singly.
Rows are medians over steps; ratios are those of medians.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import yaml
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.turns import CLOCKS, Clock
from console import command, track
from flow.loss import flow_matching_loss
from lightning_modules import muon
from lightning_modules.allocator import keep_freed_memory
from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig

CONFIG = Path("configs/t2v.yaml")
FRAMES, SIDE, WORDS = 2, 8, 12  # of latents of the demo's clips; tokens of a prompt of theirs
KINDS = {"AdamW": "adamw", "Muon": "muon", "Muon, one by one": "muon"}


class Contestant(NamedTuple):
    """A model and the optimizer that moves it."""

    model: nn.Module
    optimizer: Optimizer


class Seconds(NamedTuple):
    """Of one step: all of it, and the optimizer's part."""

    step: float
    optimizer: float


def main() -> int:
    """Train in turn, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--steps", type=int, default=20, help="of each")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    shape = shape_of(options.config)
    contestants = {name: contestant(shape, kind) for name, kind in KINDS.items()}
    batch = batch_of(options.batch, shape)
    title = f"{options.config}, {options.batch} clips, {options.threads} threads, {options.clock} clock"
    Console(width=110).print(
        table_of(title, measure(contestants, batch, options.steps, CLOCKS[options.clock]))
    )
    return 0


def shape_of(config: Path) -> TransformerConfig:
    """The transformer that `lightning fit -c` trains."""
    return TransformerConfig(**yaml.safe_load(config.read_text())["model"]["init_args"]["transformer"])


def contestant(shape: TransformerConfig, kind: Any) -> Contestant:
    """A fresh model and the optimizer that a training of `kind` would give it."""
    torch.manual_seed(0)
    model = Transformer(shape)
    return Contestant(model, optimizer_and_schedule(model, OptimizerConfig(kind=kind), 1000)["optimizer"])


def batch_of(clips: int, shape: TransformerConfig) -> Callable[[nn.Module], Tensor]:
    """The flow-matching loss of a model of `shape` on one batch of random clips."""
    latent, noise = torch.randn(2, clips, FRAMES, shape.latent_channels, SIDE, SIDE)
    text = [
        TextTokens(torch.randn(clips, WORDS, each), torch.ones(clips, WORDS, dtype=torch.bool))
        for each in shape.text_widths
    ]
    time = torch.rand(clips)

    def loss(model: nn.Module) -> Tensor:
        return flow_matching_loss(lambda x, t: model(x, t, text), latent, noise, time).mean()

    return loss


def measure(
    contestants: dict[str, Contestant], loss: Callable[[nn.Module], Tensor], steps: int, clock: Clock
) -> dict[str, list[Seconds]]:
    """`steps` of each in turn, after one to warm up."""
    seconds: dict[str, list[Seconds]] = {name: [] for name in contestants}
    turns = [(turn, name) for turn in range(steps + 1) for name in contestants]
    for turn, name in track(turns, "Steps"):
        together = 0 if name.endswith("one by one") else muon.TOGETHER
        with patch.object(muon, "TOGETHER", together):
            taken = timed_step(contestants[name], partial(loss, contestants[name].model), clock)
        if turn:
            seconds[name].append(taken)
    return seconds


def timed_step(trained: Contestant, loss: Callable[[], Tensor], clock: Clock) -> Seconds:
    """One step of training without what Lightning adds."""
    start = clock()
    loss().backward()
    torch.nn.utils.clip_grad_norm_(trained.model.parameters(), 1.0)
    before = clock()
    trained.optimizer.step()
    end = clock()
    trained.optimizer.zero_grad()
    return Seconds(end - start, end - before)


def table_of(title: str, seconds: dict[str, list[Seconds]]) -> Table:
    """A row an optimizer, against the first."""
    table = Table(title=title)
    for column in ("optimizer", "step, ms", "of which the optimizer", "step / that of the first"):
        table.add_column(column, justify="right")
    medians = {
        name: Seconds(*map(statistics.median, zip(*each, strict=True))) for name, each in seconds.items()
    }
    first = next(iter(medians.values()))
    for name, each in medians.items():
        table.add_row(
            name, f"{1e3 * each.step:.1f}", f"{1e3 * each.optimizer:.1f}", f"{each.step / first.step:.2f}"
        )
    return table


if __name__ == "__main__":
    command(main)
