"""BatchLoader: an endless row of epochs that Lightning can stop and go on with in the middle of one."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from console import UserError
from datamodules.decode import UnreadableError
from datamodules.plan import Batch, Order, epoch_batches, rank_batches, steps_in
from datamodules.shards import ShardSet
from datamodules.stream import Raw, stream_batches

NOTHING = (
    "Not one of the {} samples that came next from '{}' can be read; the warnings above say why. Make the "
    "shards anew; or type the same command again, which leaves these out."
)


class Format(Protocol):
    """What a kind of batch is made of. Must pickle: it travels to worker processes."""

    def decode(self, raw: Raw) -> Any:
        """One item from the bytes of a sample."""
        ...

    def collate(self, items: list[Any], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """A batch of items; `numbers` and `epoch` key its augmentation, which an epoch of None forbids."""
        ...


class Planned(NamedTuple):
    """A batch and where in the epoch's plan it stands."""

    position: int
    batch: Batch


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


class Made(NamedTuple):
    """A batch, the numbers of its samples, and why others of its plan are not in it."""

    batch: Any
    numbers: Batch
    unread: Mapping[int, Mapping[str, str]]
    stands_in: bool = False
    """Its samples come elsewhere, too, and here for a batch of which nothing could be read."""


Source = Callable[[Sequence[Batch], int | None], Iterator[Any]]  # of Made


class BatchLoader:
    """Iterates one epoch at a time. Its state counts the batches of the epoch that all ranks together were
    handed, not those prefetched, so that any number of ranks can go on: each remaining sample comes once.

    The format's batches get one more key, "repeated": True where the samples are no rank's turn but fill up a
    short last round (`plan.Dealt`) or stand in for others. What is averaged over an epoch leaves them out.
    """

    def __init__(
        self,
        shards: ShardSet,
        order: Order,
        source: Source,
        share: Share,
        excluded: Collection[int] = frozenset(),
        on_unread: Callable[[Mapping[int, Mapping[str, str]]], None] = lambda unread: None,
    ) -> None:
        """`excluded` are numbers of samples that are left out of the batches that hold them; `on_unread` is
        told of others that could not be read."""
        self.waited = 0.0  # seconds that the caller spent waiting here
        self.shift = 0  # batches by which a loaded state moved this rank within the epoch
        self._shards = shards
        self._order = order
        self._source = source
        self._share = share
        self._excluded = frozenset(excluded)
        self._on_unread = on_unread
        self._epoch = 0
        self._dealt = 0  # batches of the epoch's plan that were handed out, of all ranks
        self._before_last = (0, 0)
        self._handed_out: Batch = np.empty(0, np.int64)
        self._planned: tuple[int, list[Planned]] | None = None
        if not self._plan(0):
            raise UserError(
                f"All {shards.samples} samples of '{shards.folder}' are excluded or there are none: there is "
                "nothing to train on. Look into the run's quarantine.json, or give other shards."
            )

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever in it we are: Lightning counts from the epoch's beginning."""
        return steps_in(len(self._plan(self._epoch)), self._share.ranks)

    def __iter__(self) -> Iterator[Any]:
        if not self._order.shuffle:
            self._epoch = self._dealt = 0
        epoch, left, ranks = self._epoch, self._left(), self._share.ranks
        plan = [planned.batch for planned in self._plan(epoch)]
        mine = list(rank_batches(plan, *self._share, begin=len(plan) - len(left)))
        shuffled = epoch if self._order.shuffle else None
        batches = stood_in(self._source([dealt.batch for dealt in mine], shuffled))
        for step, dealt in enumerate(mine, start=1):
            began = time.perf_counter()
            made = next(batches)
            self.waited += time.perf_counter() - began
            self._on_unread(made.unread)
            if not len(made.numbers):
                raise UserError(NOTHING.format(len(made.unread), self._shards.folder))
            self._before_last = (self._epoch, self._dealt)
            self._handed_out = made.numbers
            self._dealt = left[min(step * ranks, len(left)) - 1].position + 1
            if step == len(mine):  # the caller may not come back for the end of the iteration
                self._epoch, self._dealt = epoch + 1, 0
            yield {**made.batch, "repeated": dealt.repeated or made.stands_in}

    @property
    def position(self) -> int:
        """Batches of this epoch behind this rank, or as many as there would be had it always been so many."""
        return len(self) - steps_in(len(self._left()), self._share.ranks)

    @property
    def last(self) -> tuple[str, list[int]]:
        """Fingerprint of the data and numbers of the samples in the batch handed out last."""
        return self._shards.fingerprint, self._handed_out.tolist()

    def put_back(self) -> None:
        """The batch handed out last was not trained on: it comes again after a resume."""
        self._epoch, self._dealt = self._before_last

    def state_dict(self) -> dict[str, Any]:
        """What was handed out so far, and what the numbers mean."""
        return {
            "epoch": self._epoch,
            "dealt": self._dealt,
            "position": self.position,
            "length": len(self),
            "data": self._shards.fingerprint,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same data, on any number of ranks."""
        if state["data"] != self._shards.fingerprint:
            raise UserError(
                "This checkpoint counts in an epoch of other batches: the data's fingerprint was "
                f"{state['data']}, now {self._shards.fingerprint}. Restore the data, or begin anew "
                "(--restart true)."
            )
        self._epoch, self._dealt = state["epoch"], state["dealt"]
        if self._dealt and not self._left():  # what was left of the epoch has been excluded since
            self._epoch, self._dealt = self._epoch + 1, 0
        self.shift = moved(state, self.position, len(self))

    def _left(self) -> list[Planned]:
        return [planned for planned in self._plan(self._epoch) if planned.position >= self._dealt]

    def _plan(self, epoch: int) -> list[Planned]:
        """The batches of an epoch that hold something, with their positions among all of it."""
        if self._planned is None or self._planned[0] != epoch:
            batches = epoch_batches(self._shards, self._order, epoch)
            if self._excluded:
                batches = [batch[~np.isin(batch, list(self._excluded))] for batch in batches]
            planned = [Planned(i, batch) for i, batch in enumerate(batches) if len(batch)]
            self._planned = (epoch, planned)
        return self._planned[1]


def moved(state: dict[str, Any], position: int, length: int) -> int:
    """How many batches further within its epoch a rank is than the one that saved `state` was.

    An epoch that had just ended is as far as its length.
    """
    return position - state["position"] if state["position"] else length - state["length"]


class Unread(dict[str, str]):
    """What stands in the place of an item that could not be read: its "clip_id" and the "reason"."""


def read_item(form: Format, raw: Raw) -> Any:
    """The item of a sample, or an Unread."""
    try:
        return form.decode(raw)
    except UnreadableError as error:
        return Unread(clip_id=raw["__key__"], reason=str(error))


def stood_in(batches: Iterator[Any]) -> Iterator[Made]:
    """The batches of a source. In the place of one of which nothing could be read, the one before it comes
    again, or the one after it twice: the other ranks make a step there, too."""
    last, due = None, []
    for made in batches:
        if isinstance(made, UserError):  # from a worker, where a raise would bury it in a traceback
            raise made
        due.append(made)
        last = made if len(made.numbers) else last
        if last is not None:
            yield from (last._replace(unread=each.unread, stands_in=each is not last) for each in due)
            due = []
    if due:
        yield Made(None, np.empty(0, np.int64), {n: why for each in due for n, why in each.unread.items()})


class MemorySource:
    """Batches of items that were decoded before. `unread` are the numbers of those that could not be: they
    must be excluded."""

    def __init__(self, items: Sequence[Any], form: Format) -> None:
        self._items = items
        self._format = form
        self.unread = frozenset(number for number, item in enumerate(items) if isinstance(item, Unread))

    def shown_as(self, form: Format) -> "MemorySource":
        """The same items in batches of another format."""
        return MemorySource(self._items, form)

    def __call__(self, planned: Sequence[Batch], epoch: int | None) -> Iterator[Any]:
        for batch in planned:
            items = [self._items[number] for number in batch]
            yield Made(self._format.collate(items, batch, epoch), batch, {})


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
                yield self._made(numbers, [read_item(self._format, raw) for raw in raws])
        except UserError as error:
            yield error

    def _made(self, numbers: Batch, read: list[Any]) -> Made:
        good = np.array([not isinstance(item, Unread) for item in read])
        unread = {int(numbers[place]): read[place] for place in np.flatnonzero(~good)}
        items = [read[place] for place in np.flatnonzero(good)]
        batch = self._format.collate(items, numbers[good], self._epoch) if items else None
        return Made(batch, numbers[good], unread)
