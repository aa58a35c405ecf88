"""Streams and memory give the batches of the plan, and go on after a stop as if there had been none."""

import itertools

import pytest

from console import UserError
from datamodules.loader import BatchLoader, MemorySource, Share, StreamSource
from datamodules.plan import Order, epoch_batches
from datamodules.shards import open_shards, read_samples
from datamodules.stream import stream_batches
from tests.datamodules.shard_sets import write_index, write_shard


class Keys:
    """The simplest format: a batch is its samples' keys, its numbers and its epoch."""

    def decode(self, raw):
        return raw["__key__"]

    def collate(self, items, numbers, epoch):
        return {"clip_id": items, "numbers": numbers.tolist(), "epoch": epoch}


class Broken(Keys):
    def decode(self, raw):
        raise UserError(f"cannot decode {raw['__key__']}")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Five shards of two buckets, 23 samples; the key of a sample is its number."""
    folder, names, number = tmp_path_factory.mktemp("set"), {}, 0
    for position, count in enumerate((5, 4, 6, 3, 5)):
        name = f"shard-{position}.tar"
        write_shard(folder / name, [(f"{number + i:04d}", {"json": b"{}"}) for i in range(count)])
        names[name] = "8x8x1" if position % 2 else "16x8x1"
        number += count
    write_index(folder, names)
    return open_shards(folder, "make")


ORDER = Order(batch_size=3, seed=1, lanes=2, window=2)


def loader(shards, mode, order=ORDER, share=Share()):  # noqa: B008, it is never changed
    items = [raw["__key__"] for shard in shards.shards for raw in read_samples(shard)]
    source = MemorySource(items, Keys()) if mode == "memory" else StreamSource(shards, Keys(), int(mode))
    return BatchLoader(shards, order, source, share)


def take(batches, count):
    """The first `count` batches over as many epochs as need be; like Lightning, never one too many."""
    taken = []
    while len(taken) < count:
        taken += itertools.islice(batches, min(len(batches), count - len(taken)))
    return taken


@pytest.mark.parametrize("mode", ["memory", "0", "2"])
def test_batches_are_those_of_the_plan_in_memory_streamed_and_from_workers(shards, mode):
    planned = [batch.tolist() for epoch in (0, 1) for batch in epoch_batches(shards, ORDER, epoch)]
    batches = loader(shards, mode)
    taken = take(batches, 2 * len(batches))
    assert [batch["numbers"] for batch in taken] == planned
    assert [[int(key) for key in batch["clip_id"]] for batch in taken] == planned
    assert [batch["epoch"] for batch in taken] == [0] * len(batches) + [1] * len(batches)


@pytest.mark.parametrize("mode", ["memory", "0"])
@pytest.mark.parametrize("share", [Share(), Share(1, 2)])
def test_a_stop_at_any_step_changes_nothing(shards, mode, share):
    undisturbed = take(loader(shards, mode, share=share), 2 * len(loader(shards, mode, share=share)) + 1)
    for step in range(len(undisturbed)):
        first = loader(shards, mode, share=share)
        before = take(first, step)
        second = loader(shards, mode, share=share)
        second.load_state_dict(first.state_dict())
        taken = []
        remaining = len(second) - step % len(second)  # of the epoch that was interrupted
        taken += itertools.islice(second, remaining)
        taken += take(second, max(0, len(undisturbed) - step - remaining))
        assert before + taken[: len(undisturbed) - step] == undisturbed


def test_workers_that_read_ahead_do_not_move_the_state(shards):
    ahead = loader(shards, "2")
    take(ahead, 2)
    assert ahead.state_dict()["dealt"] == 2


def test_a_batch_that_is_put_back_comes_again(shards):
    for handed_out in (2, len(loader(shards, "memory"))):
        batches = loader(shards, "memory")
        last = take(batches, handed_out)[-1]
        batches.put_back()
        assert next(iter(batches)) == last


def test_an_unshuffled_loader_always_begins_at_the_first_batch(shards):
    batches = loader(shards, "memory", Order(batch_size=3, shuffle=False))
    assert next(iter(batches))["numbers"] == next(iter(batches))["numbers"] == [0, 1, 2]
    assert next(iter(batches))["epoch"] is None


def test_a_state_of_other_data_is_refused(shards):
    batches = loader(shards, "memory")
    with pytest.raises(UserError, match="fingerprint was other"):
        batches.load_state_dict({**batches.state_dict(), "data": "other"})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_a_sample_arrives_as_it_was_raised(shards, workers):
    batches = BatchLoader(shards, ORDER, StreamSource(shards, Broken(), workers), Share())
    with pytest.raises(UserError, match=r"^cannot decode \d{4}$"):
        next(iter(batches))


def test_a_stream_opens_each_shard_once_and_reads_no_further_than_it_must(shards, monkeypatch):
    read = []

    def counted(shard):
        for sample in read_samples(shard):
            read.append(sample["__key__"])
            yield sample

    monkeypatch.setattr("datamodules.stream.read_samples", counted)
    assert sum(1 for _ in stream_batches(shards, epoch_batches(shards, ORDER, 0))) == len(
        loader(shards, "memory")
    )
    assert len(read) == len(set(read)) == shards.samples


def test_the_loader_counts_the_seconds_that_it_lets_wait(shards, monkeypatch):
    clock = itertools.count(step=0.5)
    monkeypatch.setattr("datamodules.loader.time.perf_counter", lambda: next(clock))
    batches = loader(shards, "memory")
    take(batches, 3)
    assert batches.waited == pytest.approx(3 * 0.5)
