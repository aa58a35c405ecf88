"""ShardData: a set of shards with train/ and val/ as Lightning's loaders, kept in memory or streamed."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from typing_extensions import override

from console import track
from datamodules.loader import (
    BatchLoader,
    Format,
    MemorySource,
    Share,
    StreamConfig,
    StreamSource,
    Unread,
    read_item,
)
from datamodules.plan import Order
from datamodules.quarantine import Quarantine
from datamodules.shards import ShardSet, open_shards, read_samples
from storage import fingerprint


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What distinguishes one set of shards from another."""

    folder: str
    """Holds train/ and val/, each with an index.json."""
    made_by: str
    """The command that makes it, for messages."""


class ShardData(LightningDataModule):
    """Opens the shards, deals them to ranks, and makes loaders of what `format` makes of them."""

    def __init__(self, kind: Kind, order: Order, stream: StreamConfig | None) -> None:
        """`stream` None keeps every item in memory."""
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = False
        self._kind = kind
        self._stream = stream
        self._order = order if stream is None else replace(order, lanes=stream.lanes, window=stream.window)
        self._sources: dict[str, Any] = {}
        self._excluded: dict[str, frozenset[int]] = {}
        self._told: set[tuple[str, int]] = set()  # samples that the user has been told of

    def format(self, split: str) -> Format:
        """How samples of "train" or "val" become batches."""
        raise NotImplementedError

    @property
    def training_splits(self) -> tuple[str, ...]:
        """What a fit opens for training, "train" first."""
        return ("train",)

    @property
    def held_out_splits(self) -> tuple[str, ...]:
        """What validation opens, "val" first."""
        return ("val",)

    def folder(self, split: str) -> Path:
        """Where the shards of a split lie."""
        return Path(self._kind.folder) / split

    def open(self, split: str) -> ShardSet:
        """The shards of a split."""
        may_be_empty = split in self.held_out_splits
        return open_shards(self.folder(split), self._kind.made_by, may_be_empty=may_be_empty)

    def order(self, shards: ShardSet) -> Order:
        """How the samples of these shards are put in order."""
        return self._order

    def fingerprint(self) -> str:
        """Of all that training and validation see."""
        splits = (*self.training_splits, *self.held_out_splits)
        return fingerprint({split: self.open(split).fingerprint for split in splits})

    @override
    def setup(self, stage: str) -> None:
        for split in (*(self.training_splits if stage == "fit" else ()), *self.held_out_splits):
            if split not in self._sources:
                shards = self.open(split)
                self._sources[split] = (shards, self._source(shards, split))
            # here, between two barriers: while one process reads it no other can have begun to add to it
            self._excluded[split] = self._quarantined(split) | self._unread(split)

    @override
    def train_dataloader(self) -> BatchLoader:
        return self._loader("train", self.order(self._sources["train"][0]))

    @override
    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        if not self._sources["val"][0].samples:
            return []  # a set of one source has nothing to hold out
        return self._loader("val", replace(self.order(self._sources["val"][0]), shuffle=False))

    @override
    def test_dataloader(self) -> BatchLoader | list[BatchLoader]:
        return self.val_dataloader()

    @override
    def predict_dataloader(self) -> BatchLoader | list[BatchLoader]:
        return self.val_dataloader()

    def _loader(self, split: str, order: Order, form: Format | None = None) -> BatchLoader:
        """The batches of a split in that order; `form` shows its samples in another form."""
        shards, source = self._sources[split]
        if form is not None:
            source = source.shown_as(form)

        def set_aside(unread: Mapping[int, Mapping[str, str]]) -> None:
            self._set_aside(split, shards, unread)

        return BatchLoader(shards, order, source, self._share(), self._excluded[split], set_aside)

    def _quarantined(self, split: str) -> frozenset[int]:
        """Samples that the run's training leaves out."""
        if split not in self.training_splits or self.trainer is None:
            return frozenset()
        return Quarantine(self.trainer.default_root_dir).numbers(self._sources[split][0].fingerprint)

    def _unread(self, split: str) -> frozenset[int]:
        """Samples that could not be read into memory."""
        source = self._sources[split][1]
        return source.unread if isinstance(source, MemorySource) else frozenset()

    def _set_aside(self, split: str, shards: ShardSet, unread: Mapping[int, Mapping[str, str]]) -> None:
        """Warn of samples that cannot be read, once; those of training are put into the run's quarantine."""
        new = {number: why for number, why in unread.items() if (split, number) not in self._told}
        self._told.update((split, number) for number in new)
        for why in new.values():
            print(f"warning: left out a sample of {split}: {why['reason']}", file=sys.stderr)
        if new and split in self.training_splits and self.trainer is not None:
            Quarantine(self.trainer.default_root_dir).add(shards.fingerprint, new)

    def _source(self, shards: ShardSet, split: str) -> MemorySource | StreamSource:
        form = self.format(split)
        if self._stream is not None:
            return StreamSource(shards, form, self._stream.num_workers)
        raws = (raw for shard in shards.shards for raw in read_samples(shard))
        items = [read_item(form, raw) for raw in track(raws, f"Reading {split}", shards.samples)]
        self._set_aside(split, shards, {n: item for n, item in enumerate(items) if isinstance(item, Unread)})
        return MemorySource(items, form)

    def _share(self) -> Share:
        """Which part of the data this process trains on; the strategy knows who shares samples with whom."""
        strategy = self.trainer.strategy if self.trainer is not None else None
        dealt = getattr(strategy, "distributed_sampler_kwargs", None)
        return Share(dealt["rank"], dealt["num_replicas"]) if dealt else Share()
