"""Skip the blocks of a transformer where they would do what they just did (as TeaCache, arXiv 2411.19108).

Sec. 3.4.2 sees that what the blocks change differs little from step to step once the first steps are over.
The first block always runs. How much its change of the tokens has moved since the others ran last tells
whether theirs has: up to a tolerance, their change of then is added and they are skipped.
"""

import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from console import UserError
from models.transformer import Transformer


class Seen(NamedTuple):
    """Changes "b n d" of each sample by the first block and by the rest, when all ran last."""

    first: Tensor
    rest: Tensor


class BlockCache:
    """What is remembered from evaluation to evaluation. Each sample decides for itself, not its neighbours.

    Args:
        tolerance: Relative L1 distance of changes by the first block up to which the rest are skipped.
    """

    def __init__(self, tolerance: float) -> None:
        if not 0 < tolerance < 1:
            raise ValueError(f"The cache's tolerance must be above 0 and below 1; {tolerance} came.")
        self.tolerance = tolerance
        self.asked = self.skipped = 0
        self.stale: Bool[Tensor, " b"] = torch.empty(0, dtype=torch.bool)
        self.running = 0
        self._seen: Seen | None = None
        self._after: Tensor = torch.empty(0)
        self._change: Tensor = torch.empty(0)

    @property
    def share(self) -> float:
        """The part of all samples' evaluations in which blocks were skipped."""
        return self.skipped / max(1, self.asked)

    def begin(self, before: Float[Tensor, "b n d"], after: Float[Tensor, "b n d"]) -> None:
        """The first block took `before` to `after`: choose the samples that the rest must see."""
        self._after, self._change = after, after - before
        self.stale = self._moved()
        self.running = int(self.stale.sum())
        self.asked += len(after)
        self.skipped += len(after) - self.running

    def end(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """`x` where all blocks ran; elsewhere the first block's result and the old change by the rest."""
        if self.running:
            self._keep(self.stale, self._change, x - self._after)
        assert self._seen is not None  # a sample without a past is stale
        return torch.where(self.stale[:, None, None], x, self._after + self._seen.rest[: len(x)])

    def _moved(self) -> Bool[Tensor, " b"]:
        change = self._change
        stale = torch.ones(len(change), dtype=torch.bool, device=change.device)
        if self._seen is not None:
            before = self._seen.first[: len(change)]  # as guidance ends, a batch is left by its second half
            known = len(before)
            distance = (change[:known] - before).abs().flatten(1).sum(1)
            near = distance <= self.tolerance * before.abs().flatten(1).sum(1)  # never where it is NaN
            stale[:known] = ~near
        return stale

    def _keep(self, rows: Tensor, first: Tensor, rest: Tensor) -> None:
        old = self._seen
        if old is not None and len(old.first) >= len(rows):
            for store, new in zip(old, (first, rest), strict=True):
                store[: len(rows)][rows] = new[rows]
            return
        self._seen = Seen(first.clone(), rest.clone())  # samples that came anew are stale
        if old is not None:
            kept = ~rows[: len(old.first)]
            for store, before in zip(self._seen, old, strict=True):
                store[: len(before)][kept] = before[kept]


class First(nn.Module):
    """A transformer's first block, watched by the cache."""

    def __init__(self, block: nn.Module, cache: BlockCache) -> None:
        super().__init__()
        self.block, self.cache = block, cache

    def forward(self, x: Tensor, *others: Tensor | None) -> Tensor:
        after = self.block(x, *others)
        self.cache.begin(x, after)
        return after


class Skippable(nn.Module):
    """Another of its blocks: runs for the samples that the cache calls stale."""

    def __init__(self, block: nn.Module, cache: BlockCache, *, last: bool) -> None:
        super().__init__()
        self.block, self.cache, self.last = block, cache, last

    def forward(self, x: Tensor, position: Tensor | None, *by_sample: Tensor) -> Tensor:
        stale, running = self.cache.stale, self.cache.running
        if running == len(x):
            x = self.block(x, position, *by_sample)
        elif running:
            x = x.clone()
            x[stale] = self.block(x[stale], position, *(part[stale] for part in by_sample))
        return self.cache.end(x) if self.last else x


class Cached(NamedTuple):
    """A transformer that shares all weights with the one it was made of, and the cache among its blocks."""

    transformer: Transformer
    cache: BlockCache


def cache_blocks(transformer: Transformer, tolerance: float) -> Cached:
    """`transformer` with a cache around its blocks for one solution; the original goes on without one.

    The model's forward pass runs as it stands: only the blocks that its loop goes through are wrapped.
    """
    first, *others = transformer.blocks
    if not others:
        raise UserError("A cache needs at least 2 blocks; this transformer has 1. Leave --cache out.")
    cache = BlockCache(tolerance)
    rest = [Skippable(block, cache, last=block is others[-1]) for block in others]
    wrapped = copy.copy(transformer)
    wrapped._modules = {**transformer._modules, "blocks": nn.ModuleList([First(first, cache), *rest])}
    return Cached(wrapped, cache)
