"""Which part of each parameter a rank keeps: tensor parallelism cuts matrices, FSDP2 the rows of its part."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from parallel.plan.layout import Layout

Split = Literal["rows", "columns"] | None
BLOCK = re.compile(r"(?:^|\.)blocks\.\d+\.")
ROWS = re.compile(r"\.(q|k|v|qkv|kv|gate|up|gate_up)\.(weight|bias)$")  # Megatron: column-parallel
TEXT = re.compile(
    r"(?:^|\.)text\.encoders\.\d+\.0\.(weight|bias)$"
)  # its embedders, whose outputs are joined
COLUMNS = re.compile(r"\.(out|down)\.weight$")  # its inputs divided: row-parallel
MASTER = 4  # bytes of a weight, of its gradient and of each moment: float32, whatever the blocks compute in


@dataclass(frozen=True)
class Parameter:
    """Parameters of one shape that are kept in one way."""

    shape: tuple[int, ...]
    """Of the whole."""
    split: Split
    """Which dimension tensor parallelism divides; what is no matrix of a block or of the text is on all."""
    block: bool
    """Of a block, which FSDP gathers by itself; all that is in none is gathered together."""
    count: int = 1
    """Such parameters in the model."""

    @property
    def numel(self) -> int:
        """Elements of all of them."""
        return math.prod(self.shape) * self.count

    def on_tensor_rank(self, tp: int) -> tuple[int, ...]:
        """Shape of what one tensor-parallel rank holds when FSDP has gathered it."""
        if self.split is None:
            return self.shape
        first, *rest = self.shape
        return (first // tp, *rest) if self.split == "rows" else (first, rest[0] // tp)

    def local(self, layout: Layout) -> int:
        """Elements on the rank that has most: FSDP2 deals rows in equal chunks, the first ranks' are full."""
        first, *rest = self.on_tensor_rank(layout.tp) or (1,)
        return math.ceil(first / layout.shards) * math.prod(rest) * self.count


def grouped(named: Iterable[tuple[str, tuple[int, ...]]]) -> tuple[Parameter, ...]:
    """Parameters from their names and shapes, as blocks.3.attention.q.weight of 6144 x 6144."""
    counts = Counter(Parameter(shape, _split(name), bool(BLOCK.search(name))) for name, shape in named)
    return tuple(replace(kind, count=count) for kind, count in counts.items())


def _split(name: str) -> Split:
    if TEXT.search(name):
        return "rows"
    if not BLOCK.search(name):
        return None
    return "rows" if ROWS.search(name) else "columns" if COLUMNS.search(name) else None


def gathered(parameters: Iterable[Parameter], layout: Layout) -> int:
    """Elements that one rank holds of `parameters` while FSDP has gathered them."""
    return sum(math.prod(each.on_tensor_rank(layout.tp)) * each.count for each in parameters)


def weight_bytes(parameters: Iterable[Parameter], layout: Layout) -> int:
    """Bytes of the sharded weights on a rank; of their gradients as well."""
    return MASTER * sum(each.local(layout) for each in parameters)


def optimizer_bytes(parameters: Iterable[Parameter], layout: Layout) -> int:
    """Bytes of AdamW's state on a rank: two moments of each weight, a count of steps for each parameter."""
    return sum(MASTER * (2 * each.local(layout) + each.count) for each in parameters)
