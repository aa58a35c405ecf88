"""Speed of the transformer's block beside diffusers' blocks, its own matrix products and plain attention.

    python -m benchmarks.transformer blocks --tokens 1024
    python -m benchmarks.transformer blocks --tokens 4096 --passes forward --only ours Wan
    python -m benchmarks.transformer growth --tokens 1024 4096 16384 --width 512
    python -m benchmarks.transformer fused --tokens 1024

blocks: forward, and forward with backward, of one block each with random weights; the peak is that of plain
matrix products of the shapes of our block's layers. growth: self-attention less its projections against
scaled_dot_product_attention. fused: projections as one matrix against several. Everything is run in turns,
and what is printed are medians over rounds of ratios within a round. Operations are those of the forward
pass, three times as many with the backward pass.
"""

import argparse
import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import linear

from benchmarks.blocks import CONTESTANTS, HEAD, TEXT, Contestant, shape_of
from benchmarks.turns import CLOCKS, Clock, Pass, Seconds, both, median_ratio, timed
from console import command
from lightning_modules.allocator import keep_freed_memory
from models.transformer.attention import Attend, SelfAttention

PASSES = {"forward": 1, "with backward": 3}  # how many times the operations of a forward pass
Shape = tuple[int, int, int]


def main() -> int:
    """Measure in turn, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("part", choices=("blocks", "growth", "fused"))
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024])
    parser.add_argument("--width", type=int, default=3072, help="3072 is the 5B's")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall",
                        help="cpu: with one thread, where other programs run too")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    part = {"blocks": blocks, "growth": growth, "fused": fused}[options.part]
    Console(width=130).print(part(options, CLOCKS[options.clock]))
    return 0


def blocks(options: argparse.Namespace, clock: Clock) -> Table:
    """Each contestant's time, its share of the products' peak, and its time for an operation beside ours."""
    table = Table(title=f"Blocks of width {options.width}, {options.threads} threads, {options.clock} clock")
    columns = [(f"{kind}, s", "of peak", "time/FLOP") for kind in options.passes]
    for column in ("tokens", "block", "GFLOP", *sum(columns, ())):
        table.add_column(column, justify="right")
    for count in options.tokens:
        tokens = torch.randn(1, count, options.width)
        contestants = {name: CONTESTANTS[name](options.width, count) for name in options.only}
        passes: dict[Any, Pass] = {}
        for name, contestant in contestants.items():
            runs = both(partial(_alone, contestant), tokens.clone(), contestant)
            passes |= {(name, kind): runs[kind] for kind in options.passes}
        shapes = product_shapes(CONTESTANTS["ours"](options.width, count), options.width, count)
        for shape in dict.fromkeys(shapes):
            runs = products(shape)
            passes |= {(shape, kind): runs[kind] for kind in options.passes}
        seconds = timed(passes, options.rounds, clock)
        operations = {name: each.operations(tokens) for name, each in contestants.items()}
        for row in _rows(operations, seconds, shapes, options.passes):
            table.add_row(f"{count:,}", *row)
    return table


def _alone(contestant: Contestant, x: Tensor) -> tuple[Tensor]:
    return (contestant(x),)


def _rows(
    operations: dict[str, int], seconds: Seconds, shapes: list[Shape], kinds: list[str]
) -> Iterator[list[str]]:
    first = next(iter(operations))
    of_products = sum(2 * rows * inputs * outputs for rows, inputs, outputs in shapes)
    for name, count in operations.items():
        row = [name, f"{count / 1e9:.3g}"]
        for kind in kinds:
            taken = seconds[name, kind]
            peak = median_ratio(products_of(shapes, seconds, kind), taken) * count / of_products
            beside = median_ratio(taken, seconds[first, kind]) * operations[first] / count
            row += [f"{statistics.median(taken):.2f}", f"{peak:.3f}", f"{beside:.3f}"]
        yield row


def products_of(shapes: list[Shape], seconds: Seconds, kind: str) -> list[float]:
    """Seconds of our block's matrix products in each round, one after the other with nothing in between."""
    return [sum(each) for each in zip(*(seconds[shape, kind] for shape in shapes), strict=True)]


def product_shapes(contestant: Contestant, width: int, tokens: int) -> list[Shape]:
    """Rows, inputs and outputs of each linear layer of a block, in order."""
    shapes: list[Shape] = []
    for layer in contestant.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(partial(_note_shape, shapes, layer))
    contestant.to("meta")(torch.empty(1, tokens, width, device="meta"))
    return shapes


def _note_shape(shapes: list[Shape], layer: nn.Linear, _: nn.Module, args: tuple[Tensor]) -> None:
    shapes.append((args[0].shape[1], layer.in_features, layer.out_features))


def products(shape: tuple[int, int, int]) -> dict[str, Pass]:
    """The product of a linear layer alone, and with the two products of its backward pass."""
    rows, inputs, outputs = shape
    x, weight, gradient = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(rows, outputs)

    def forward() -> None:
        linear(x, weight)

    def step() -> None:
        forward()
        torch.mm(gradient, weight)
        torch.mm(gradient.T, x)

    return {"forward": forward, "with backward": step}


def growth(options: argparse.Namespace, clock: Clock) -> Table:
    """Time of self-attention less its projections, beside scaled_dot_product_attention of the same heads."""
    table = Table(title=f"Self-attention of {options.width // HEAD} heads, {options.threads} threads")
    for column in ("tokens", "layer, s", "projections, s", "SDPA alone, s", "attention part / SDPA"):
        table.add_column(column, justify="right")
    layer, attend = SelfAttention(options.width, options.width // HEAD, norm=None), Attend()
    for count in options.tokens:
        x, heads = torch.randn(1, count, options.width), torch.randn(3, 1, options.width // HEAD, count, HEAD)
        projections = [layer.q, layer.k, layer.v, layer.out]
        with torch.no_grad():
            seconds = timed(
                {
                    "layer": lambda x=x: layer(x),
                    "projections": lambda x=x, of=projections: [each(x) for each in of],
                    "alone": lambda heads=heads: attend(*heads.unbind()),
                },
                options.rounds,
                clock,
            )
        own = [a - b for a, b in zip(seconds["layer"], seconds["projections"], strict=True)]
        medians = (f"{statistics.median(each):.3f}" for each in seconds.values())
        table.add_row(f"{count:,}", *medians, f"{median_ratio(own, seconds['alone']):.3f}")
    return table


def fused(options: argparse.Namespace, clock: Clock) -> Table:
    """Time of several projections of the same tokens as matrices of their own, over that of one matrix."""
    table = Table(title=f"Separate / fused, width {options.width}, {options.threads} threads")
    for column in ("tokens", "projections", "forward", "with backward"):
        table.add_column(column, justify="right")
    hidden = shape_of(options.width).feed_forward
    for count in options.tokens:
        for name, rows, parts, outputs in (
            ("query, key, value", count, 3, options.width),
            ("key, value of the text", TEXT, 2, options.width),
            ("gate, up", count, 2, hidden),
        ):
            x = torch.randn(1, rows, options.width)
            whole = nn.Linear(options.width, parts * outputs, bias=False)
            alone = nn.ModuleList(nn.Linear(options.width, outputs, bias=False) for _ in range(parts))
            passes = {
                (label, kind): run
                for label, once, of in (
                    ("fused", lambda x, it=whole, n=parts: it(x).chunk(n, dim=-1), whole),
                    ("separate", lambda x, it=alone: [each(x) for each in it], alone),
                )
                for kind, run in both(once, x, of).items()
            }
            seconds = timed(passes, options.rounds, clock)
            ratios = (median_ratio(seconds["separate", kind], seconds["fused", kind]) for kind in PASSES)
            table.add_row(f"{count:,}", name, *(f"{ratio:.3f}" for ratio in ratios))
    return table


if __name__ == "__main__":
    command(main)
