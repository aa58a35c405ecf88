"""Speed of the transformer's block beside diffusers' blocks, its own matrix products and plain attention.

    python -m benchmarks.transformer blocks --tokens 1024
    python -m benchmarks.transformer growth --tokens 1024 4096 16384 --width 512
    python -m benchmarks.transformer fused --tokens 1024

blocks: forward, and forward with backward, of one block each with random weights, in turn, the fastest round
of each; the peak is that of plain matrix products of the shapes of our block's layers. growth: self-attention
less its projections against scaled_dot_product_attention. fused: projections as one matrix against several.
Operations are those of the forward pass, three times as many with the backward pass.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from console import command, track
from lightning_modules.allocator import keep_freed_memory
from models.transformer.attention import SelfAttention
from models.transformer.block import Block
from models.transformer.config import TransformerConfig
from models.transformer.dit_block import DiTBlock

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
HEAD = 128  # channels of a head (Table 1)
TEXT = 256  # text tokens of every block
Pass = Callable[[], Any]
Clock = Callable[[], float]


class Contestant(NamedTuple):
    """A block and the call that runs it on tokens "1 n d"."""

    block: nn.Module
    forward: Callable[[nn.Module, Tensor], Tensor]

    def operations(self, tokens: Tensor) -> int:
        """Of a forward pass, counted without doing them."""
        block = copy.deepcopy(self.block).to("meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.forward(block, tokens.to("meta"))
        return counter.get_total_flops()


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
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    part = {"blocks": blocks, "growth": growth, "fused": fused}[options.part]
    Console(width=130).print(part(options, CLOCKS[options.clock]))
    return 0


def fastest(passes: Mapping[Any, Pass], rounds: int, clock: Clock) -> dict[Any, float]:
    """Seconds of the fastest of `rounds` runs of each pass, in turns, after one to warm up."""
    seconds: dict[Any, float] = dict.fromkeys(passes, float("inf"))
    turns = [(turn, name) for turn in range(rounds + 1) for name in passes]
    for turn, name in track(turns, "Passes"):
        start = clock()
        passes[name]()
        if turn:
            seconds[name] = min(seconds[name], clock() - start)
    return seconds


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


def blocks(options: argparse.Namespace, clock: Clock) -> Table:
    """Each contestant's time, its share of the products' peak, and its time for an operation beside ours."""
    table = Table(title=f"Blocks of width {options.width}, {options.threads} threads, {options.clock} clock")
    for column in ("tokens", "block", "GFLOP", "forward, s", "of peak", "time/FLOP", "with backward, s",
                   "of peak", "time/FLOP"):  # fmt: skip
        table.add_column(column, justify="right")
    for count in options.tokens:
        tokens = torch.randn(1, count, options.width)
        contestants = {name: CONTESTANTS[name](options.width, count) for name in options.only}
        passes: dict[Any, Pass] = {}
        for name, contestant in contestants.items():
            once = partial(_alone, contestant)
            for kind, run in both(once, tokens.clone(), contestant.block).items():
                passes[name, kind] = run
        shapes = product_shapes(Block(shape_of(options.width)), options.width, count)
        passes.update(
            {("products", kind, shape): run for shape in shapes for kind, run in products(shape).items()}
        )
        seconds = fastest(passes, options.rounds, clock)
        operations = {name: each.operations(tokens) for name, each in contestants.items()}
        for row in _rows(operations, seconds, shapes):
            table.add_row(f"{count:,}", *row)
    return table


def _alone(contestant: Contestant, x: Tensor) -> tuple[Tensor]:
    return (contestant.forward(contestant.block, x),)


def _rows(
    operations: dict[str, int], seconds: dict[Any, float], shapes: list[tuple[int, int, int]]
) -> Iterator[list[str]]:
    first = next(iter(operations))
    for name, count in operations.items():
        row = [name, f"{count / 1e9:.3g}"]
        for kind, times in (("forward", 1), ("with backward", 3)):
            peak = peak_of(shapes, seconds, kind)
            speed = times * count / seconds[name, kind]
            reference = times * operations[first] / seconds[first, kind]
            row += [f"{seconds[name, kind]:.2f}", f"{speed / peak:.3f}", f"{reference / speed:.3f}"]
        yield row


def peak_of(shapes: list[tuple[int, int, int]], seconds: dict[Any, float], kind: str) -> float:
    """Operations a second of the block's matrix products, one after the other with nothing in between."""
    operations = sum(2 * rows * inputs * outputs for rows, inputs, outputs in shapes)
    return (
        operations
        * (3 if kind == "with backward" else 1)
        / sum(seconds["products", kind, each] for each in shapes)
    )


def product_shapes(block: nn.Module, width: int, tokens: int) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of each linear layer of our block, in order."""
    shapes: list[tuple[int, int, int]] = []
    for layer in block.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(
                lambda layer, args: shapes.append((args[0].shape[1], layer.in_features, layer.out_features))
            )
    _run_ours(block.to("meta"), torch.empty(1, tokens, width, device="meta"))
    return shapes


def products(shape: tuple[int, int, int]) -> dict[str, Pass]:
    """The product of a linear layer alone, and with the two products of its backward pass."""
    rows, inputs, outputs = shape
    x, weight, gradient = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(rows, outputs)

    def forward() -> None:
        linear(x, weight)

    def step() -> None:
        forward()
        gradient @ weight
        gradient.T @ x

    return {"forward": forward, "with backward": step}


def growth(options: argparse.Namespace, clock: Clock) -> Table:
    """Time of self-attention less its projections, beside scaled_dot_product_attention of the same heads."""
    table = Table(title=f"Self-attention of {options.width // HEAD} heads, {options.threads} threads")
    for column in ("tokens", "layer, s", "projections, s", "SDPA alone, s", "attention part / SDPA"):
        table.add_column(column, justify="right")
    layer = SelfAttention(options.width, options.width // HEAD, norm=None)
    for count in options.tokens:
        x, heads = torch.randn(1, count, options.width), torch.randn(3, 1, options.width // HEAD, count, HEAD)
        projections = [layer.q, layer.k, layer.v, layer.out]
        with torch.no_grad():
            seconds = fastest(
                {
                    "layer": lambda x=x: layer(x),
                    "projections": lambda x=x, of=projections: [each(x) for each in of],
                    "alone": lambda heads=heads: scaled_dot_product_attention(*heads),
                },
                options.rounds,
                clock,
            )
        part = (seconds["layer"] - seconds["projections"]) / seconds["alone"]
        table.add_row(f"{count:,}", *(f"{each:.3f}" for each in seconds.values()), f"{part:.3f}")
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
            seconds = fastest(passes, options.rounds, clock)
            ratios = (
                seconds["separate", kind] / seconds["fused", kind] for kind in ("forward", "with backward")
            )
            table.add_row(f"{count:,}", name, *(f"{ratio:.3f}" for ratio in ratios))
    return table


def shape_of(width: int) -> TransformerConfig:
    """Our block at this width: heads of 128 channels, the 5B's ratio of hidden channels."""
    return TransformerConfig(width=width, heads=width // HEAD, feed_forward=width * 8 // 3, layers=1)


def _run_ours(block: nn.Module, x: Tensor) -> Tensor:
    width, place = x.shape[-1], {"device": x.device}
    mask = torch.ones(1, TEXT, dtype=torch.bool, **place)
    return block(
        x, torch.zeros(x.shape[1], width, **place), torch.zeros(1, 6, width, **place),
        torch.zeros(1, TEXT, width, **place), mask,
    )  # fmt: skip


def ours(kind: type[nn.Module], **options: Any) -> Callable[[int, int], Contestant]:
    """A block of ours."""

    def make(width: int, tokens: int) -> Contestant:
        return Contestant(kind(replace(shape_of(width), **options)), _run_ours)

    return make


def wan(width: int, tokens: int) -> Contestant:
    """Wan's: layer norms, rotary positions, query and key norms, GELU with four times the width."""
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock

    rotary = WanRotaryPosEmbed(HEAD, (1, 2, 2), tokens)(torch.empty(1, 16, tokens // 4, 4, 4))

    def forward(block: nn.Module, x: Tensor) -> Tensor:
        place = {"device": x.device}
        text, time_ = torch.zeros(1, TEXT, width, **place), torch.zeros(1, 6, width, **place)
        return block(x, text, time_, tuple(each.to(x.device) for each in rotary))

    return Contestant(WanTransformerBlock(width, 4 * width, width // HEAD, cross_attn_norm=True), forward)


def cogvideox(width: int, tokens: int) -> Contestant:
    """CogVideoX's: video and text in one self-attention, adaLN of its own, GELU with four times the width."""
    from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock

    def forward(block: nn.Module, x: Tensor) -> Tensor:
        place = {"device": x.device}
        return block(x, torch.zeros(1, TEXT, width, **place), torch.zeros(1, 512, **place))[0]

    return Contestant(CogVideoXBlock(width, width // HEAD, HEAD, 512, attention_bias=True), forward)


CONTESTANTS: dict[str, Callable[[int, int], Contestant]] = {
    "ours": ours(Block),
    "ours, QK norm": ours(Block, qk_norm=True),
    "ours, DiT": ours(DiTBlock),
    "Wan": wan,
    "CogVideoX": cogvideox,
}

if __name__ == "__main__":
    command(main)
