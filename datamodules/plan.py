"""The order of an epoch, known before anything is read: which samples make up which batch of which rank.

An epoch is a list of batches of one bucket each, and every sample comes once in it. It depends on the index,
the seed and the epoch alone, so the whole state of a run's data is two numbers, (epoch, batches handed out),
however far ahead it is read.

Streams read tar files from front to back. `lanes` keeps that cheap: a lane owns every `lanes`-th shard,
shuffles within `window` shards, and takes turns with the others, batch by batch. With `lanes` a multiple of
ranks x workers, each of them reads shards of its own lanes. What shorter lanes cannot match comes last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from console import UserError
from datamodules.shards import ShardSet

Batch = np.ndarray  # int64 [b]: numbers of samples


class Dealt(NamedTuple):
    """A batch of one rank."""

    batch: Batch
    repeated: bool
    """Its sample is dealt elsewhere in the epoch, and here because the rank needs one: no mean counts it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """How the samples of a set are put in order."""

    batch_size: int | dict[str, int]
    """Samples in a batch of each rank; a dict gives one number a bucket."""
    shuffle: bool = True
    """False keeps the order of the index."""
    seed: int = 0
    """Of the order."""
    lanes: int = 1
    """Lanes, at best a multiple of ranks x workers."""
    window: int | None = None
    """Shards of a lane that are mixed with each other; None mixes all."""
    key: str = "data.batch_size"
    """Where the config says how many samples, for messages."""

    def size(self, bucket: str) -> int:
        """Samples in a batch of `bucket`."""
        if isinstance(self.batch_size, int):
            return self.batch_size
        if bucket not in self.batch_size:
            given = ", ".join(self.batch_size)
            raise UserError(
                f"{self.key} has no entry for bucket '{bucket}' of the shards; it has: {given}. Add one."
            )
        return self.batch_size[bucket]

    def __post_init__(self) -> None:
        sizes = [self.batch_size] if isinstance(self.batch_size, int) else list(self.batch_size.values())
        if not sizes or min(sizes) < 1:
            raise ValueError(f"{self.key} must be at least 1; {self.batch_size} came.")
        if self.lanes < 1 or (self.window is not None and self.window < 1):
            raise ValueError(
                f"data.lanes and data.window must be at least 1; {self.lanes}, {self.window} came."
            )


def epoch_batches(shards: ShardSet, order: Order, epoch: int) -> list[Batch]:
    """All batches of an epoch, in order, for all ranks together."""
    rng = np.random.default_rng([order.seed, epoch])
    numbers = shards.numbers()
    by_bucket = []
    for bucket in shards.buckets:
        own = [numbers[i] for i, shard in enumerate(shards.shards) if shard.bucket == bucket]
        if order.shuffle:
            own = [own[i] for i in rng.permutation(len(own))]
        lanes = [_mixed(own[lane :: order.lanes], order, rng) for lane in range(order.lanes)]
        by_bucket.append(_dealt(lanes, order.size(bucket)))
    return _merged(by_bucket, order.shuffle, rng)


def steps_in(batches: int, ranks: int) -> int:
    """Batches of an epoch that each rank gets, given how many there are in all."""
    return -(-batches // ranks)


def rank_batches(batches: Sequence[Batch], rank: int, ranks: int, begin: int = 0) -> Iterator[Dealt]:
    """The batches of one rank from batch `begin` of an epoch on: every `ranks`-th.

    All get equally many. A last round of too few batches is cut into smaller ones. Where it has fewer samples
    than there are ranks, each of the others gets one from the epoch's beginning, so that none comes twice in
    the round. Of a set smaller than the ranks no sample comes more than once more often than another.
    """
    whole = begin + (len(batches) - begin) // ranks * ranks
    for batch in batches[begin + rank : whole : ranks]:
        yield Dealt(batch, repeated=False)
    if whole == len(batches):
        return
    last = _split(list(batches[whole:]), ranks)
    if rank < len(last):
        yield Dealt(last[rank], repeated=False)
    else:
        samples = np.concatenate(batches)
        again = (rank - len(last)) % len(samples)
        yield Dealt(samples[again : again + 1], repeated=True)


def _mixed(shards: list[np.ndarray], order: Order, rng: np.random.Generator) -> np.ndarray:
    """The samples of a lane, shuffled within each window of its shards."""
    if not shards:
        return np.empty(0, np.int64)
    window = order.window or len(shards)
    groups = [np.concatenate(shards[start : start + window]) for start in range(0, len(shards), window)]
    return np.concatenate([rng.permutation(group) if order.shuffle else group for group in groups])


def _dealt(lanes: list[np.ndarray], size: int) -> list[Batch]:
    """Batches of the lanes in turn while all can fill one; then what is left, the last batch maybe short."""
    rounds = min(map(len, lanes)) // size
    batches = [lane[i * size : (i + 1) * size] for i in range(rounds) for lane in lanes]
    rest = np.concatenate([lane[rounds * size :] for lane in lanes])
    return batches + [rest[start : start + size] for start in range(0, len(rest), size)]


def _merged(by_bucket: list[list[Batch]], shuffle: bool, rng: np.random.Generator) -> list[Batch]:
    """The buckets' batches in one list, at random turns, each bucket's own order kept."""
    turns = np.repeat(np.arange(len(by_bucket)), [len(batches) for batches in by_bucket])
    if shuffle:
        turns = rng.permutation(turns)
    queues = [iter(batches) for batches in by_bucket]
    return [next(queues[turn]) for turn in turns]


def _split(batches: list[Batch], pieces: int) -> list[Batch]:
    """Cut the largest batches in halves until there are `pieces`, or all are single samples."""
    while len(batches) < pieces:
        largest = max(range(len(batches)), key=lambda i: len(batches[i]))
        batch = batches[largest]
        if len(batch) == 1:
            break
        half = (len(batch) + 1) // 2
        batches[largest : largest + 1] = [batch[:half], batch[half:]]
    return batches
