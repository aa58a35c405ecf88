"""Streaming: batches of a plan from tar files that are read once, front to back."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from datamodules.plan import Batch
from datamodules.shards import Shard, ShardSet, read_samples

Raw = dict[str, Any]  # a sample as it stands in the tar: extension -> bytes


def stream_batches(shards: ShardSet, batches: Sequence[Batch]) -> Iterator[list[Raw]]:
    """The raw samples of each batch. A shard is open from its first to its last sample that is needed.

    What is read before its turn waits in memory: at most the shards of the plan's lanes x window.
    """
    ends = np.cumsum([shard.samples for shard in shards.shards])
    starts = ends - [shard.samples for shard in shards.shards]
    wanted = _wanted(batches, ends, starts)
    readers: dict[int, ShardReader] = {}
    for batch in batches:
        raws = []
        for number in batch.tolist():
            shard = int(np.searchsorted(ends, number, side="right"))
            if shard not in readers:
                readers[shard] = ShardReader(shards.shards[shard], wanted.pop(shard))
            raws.append(readers[shard].take(number - int(starts[shard])))
            if readers[shard].done:
                del readers[shard]
        yield raws


class ShardReader:
    """Reads one shard forward as far as it is asked, and keeps what will be asked for later."""

    def __init__(self, shard: Shard, wanted: Iterable[int]) -> None:
        self._samples = enumerate(read_samples(shard))
        self._wanted = Counter(wanted)
        self._kept: dict[int, Raw] = {}

    @property
    def done(self) -> bool:
        """Nothing more will be asked of this shard."""
        return not self._wanted

    def take(self, index: int) -> Raw:
        """The sample at `index`; each wanted one can be taken as often as it was announced."""
        while index not in self._kept:
            position, raw = next(self._samples)
            if position in self._wanted:
                self._kept[position] = raw
        self._wanted[index] -= 1
        if self._wanted[index] > 0:
            return self._kept[index]
        del self._wanted[index]
        return self._kept.pop(index)


def _wanted(batches: Sequence[Batch], ends: np.ndarray, starts: np.ndarray) -> dict[int, list[int]]:
    """For each shard the indices that the batches will take from it."""
    if not len(batches):
        return {}
    numbers = np.sort(np.concatenate(batches))
    owners, first = np.unique(np.searchsorted(ends, numbers, side="right"), return_index=True)
    parts = np.split(numbers, first[1:])
    return {int(shard): (part - starts[shard]).tolist() for shard, part in zip(owners, parts, strict=True)}
