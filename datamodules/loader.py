"""BatchLoader: an endless row of epochs that Lightning can stop and go on with in the middle of one."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from console import UserError
from datamodules.plan import Batch, Order, epoch_batches, rank_batches, steps_in
from datamodules.shards import ShardSet
from datamodules.stream import Raw, stream_batches


class Format(Protocol):
    """What a kind of batch is made of. Must pickle: it travels to worker processes."""

    def decode(self, raw: Raw) -> Any:
        """One item from the bytes of a sample."""
        ...

    def collate(self, items: list[Any], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """A batch of items; `numbers` and `epoch` key its augmentation, which an epoch of None forbids."""
        ...


class Share(NamedTuple):
    """The part of each epoch that is read here: rank `rank` of `ranks` data-parallel ones."""

    rank: int = 0
    ranks: int = 1


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How shards are streamed; without effect where they are kept in memory."""

    num_workers: int = 0
    """Processes that read and decode ahead."""
    lanes: int = 8
    """Shards that are read at a time; at best a multiple of data ranks x workers."""
    window: int = 2
    """Shards of a lane that are shuffled together; their bytes wait in memory."""


Source = Callable[[Sequence[Batch], int | None], Iterator[Any]]


class BatchLoader:
    """Iterates one epoch at a time. Its state counts the batches handed out, not those prefetched."""

    def __init__(self, shards: ShardSet, order: Order, source: Source, share: Share) -> None:
        self.waited = 0.0  # seconds that the caller spent waiting here
        self._shards = shards
        self._order = order
        self._source = source
        self._share = share
        self._epoch = 0
        self._step = 0  # of this rank, in this epoch
        self._before_last = (0, 0)
        self._length = steps_in(len(epoch_batches(shards, order, 0)), share.ranks)

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever in it we are: Lightning counts from the epoch's beginning."""
        return self._length

    def __iter__(self) -> Iterator[Any]:
        if not self._order.shuffle:
            self._epoch = self._step = 0
        epoch = self._epoch
        mine = rank_batches(epoch_batches(self._shards, self._order, epoch), *self._share)
        planned = list(itertools.islice(mine, self._step, None))
        batches = self._source(planned, epoch if self._order.shuffle else None)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - began
            if batch is None:
                return
            if isinstance(batch, UserError):  # from a worker, where a raise would bury it in a traceback
                raise batch
            self._before_last = (self._epoch, self._step)
            self._step += 1
            if self._step == self._length:  # the caller may not come back for the end of the iteration
                self._epoch, self._step = epoch + 1, 0
            yield batch

    def put_back(self) -> None:
        """The batch handed out last was not trained on: it comes again after a resume."""
        self._epoch, self._step = self._before_last

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch is, and what the numbers mean."""
        return {
            "epoch": self._epoch,
            "step": self._step,
            "ranks": self._share.ranks,
            "data": self._shards.fingerprint,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same data on the same number of ranks."""
        now = self.state_dict()
        for key, name in (("data", "the data's fingerprint"), ("ranks", "the number of data ranks")):
            if state[key] != now[key]:
                raise UserError(
                    f"This checkpoint counts in an epoch of other batches: {name} was {state[key]}, now "
                    f"{now[key]}. Restore it, or begin anew (--restart true)."
                )
        self._epoch, self._step = state["epoch"], state["step"]


class MemorySource:
    """Batches of items that were decoded before."""

    def __init__(self, items: Sequence[Any], form: Format) -> None:
        self._items = items
        self._format = form

    def shown_as(self, form: Format) -> "MemorySource":
        """The same items in batches of another format."""
        return MemorySource(self._items, form)

    def __call__(self, planned: Sequence[Batch], epoch: int | None) -> Iterator[Any]:
        for batch in planned:
            yield self._format.collate([self._items[number] for number in batch], batch, epoch)


class StreamSource:
    """Batches that are read from the shards and decoded on the way, in worker processes if there are any."""

    def __init__(self, shards: ShardSet, form: Format, num_workers: int) -> None:
        self._shards = shards
        self._format = form
        self._num_workers = num_workers

    def shown_as(self, form: Format) -> "StreamSource":
        """The same shards in batches of another format."""
        return StreamSource(self._shards, form, self._num_workers)

    def __call__(self, planned: Sequence[Batch], epoch: int | None) -> Iterator[Any]:
        dataset = PlannedBatches(self._shards, self._format, planned, epoch)
        loader = DataLoader(
            dataset,
            batch_size=None,
            num_workers=self._num_workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its workers' seed would else be drawn from the training's numbers
        )
        return iter(loader)


class PlannedBatches(IterableDataset):
    """The planned batches of an epoch. Worker w of n makes every n-th, which keeps the order of the plan."""

    def __init__(self, shards: ShardSet, form: Format, planned: Sequence[Batch], epoch: int | None) -> None:
        self._shards = shards
        self._format = form
        self._planned = planned
        self._epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        mine = self._planned if worker is None else self._planned[worker.id :: worker.num_workers]
        try:
            for numbers, raws in zip(mine, stream_batches(self._shards, mine), strict=True):
                items = [self._format.decode(raw) for raw in raws]
                yield self._format.collate(items, numbers, self._epoch)
        except UserError as error:
            yield error
