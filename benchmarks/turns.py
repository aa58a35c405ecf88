"""Passes timed in turns, so that what else the machine does falls on all of them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from console import track

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Pass = Callable[[], Any]
Clock = Callable[[], float]
Seconds = dict[Any, list[float]]  # of each pass in each round


def timed(passes: Mapping[Any, Pass], rounds: int, clock: Clock) -> Seconds:
    """Seconds of each pass in each of `rounds`, after one to warm up; every other round backwards."""
    seconds: Seconds = {name: [] for name in passes}
    names = list(passes)
    turns = [(turn, name) for turn in range(rounds + 1) for name in (names if turn % 2 else names[::-1])]
    for turn, name in track(turns, "Passes"):
        start = clock()
        passes[name]()
        if turn:
            seconds[name].append(clock() - start)
    return seconds


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over rounds: both were measured beside each other, and share what disturbed a round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def both(once: Callable[[Tensor], Sequence[Tensor]], tokens: Tensor, of: nn.Module) -> dict[str, Pass]:
    """A forward pass that keeps nothing, and a forward pass with its backward pass into the weights `of`."""

    def step() -> None:
        out = once(tokens.requires_grad_(True))
        torch.autograd.backward(out, [torch.ones_like(each) for each in out])
        of.zero_grad()
        tokens.grad = None

    def forward() -> None:
        with torch.no_grad():
            once(tokens)

    return {"forward": forward, "with backward": step}
