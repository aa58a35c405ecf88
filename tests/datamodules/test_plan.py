"""Every sample once an epoch, in an order that the seed and the epoch decide, for any number of ranks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.plan import Order, epoch_batches, rank_batches, steps_in
from datamodules.shards import Shard, ShardSet

BUCKETS = ("64x64x16", "96x64x16", "64x64x32")


def shard_set(sizes: list[tuple[int, str]]) -> ShardSet:
    return ShardSet(Path("set"), tuple(Shard(Path(f"{i}.tar"), n, b) for i, (n, b) in enumerate(sizes)), {})


sets = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(BUCKETS)), min_size=1, max_size=12).map(
    shard_set
)
orders = st.builds(
    Order,
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 3),
    lanes=st.integers(1, 5),
    window=st.one_of(st.none(), st.integers(1, 3)),
    shuffle=st.booleans(),
)


def bucket_of(shards: ShardSet, number: int) -> str:
    ends = np.cumsum([shard.samples for shard in shards.shards])
    return shards.shards[int(np.searchsorted(ends, number, side="right"))].bucket


@settings(max_examples=150, deadline=None)
@given(sets, orders, st.integers(0, 2))
def test_every_sample_comes_once_an_epoch_in_batches_of_one_bucket(shards, order, epoch):
    batches = epoch_batches(shards, order, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(shards.samples))
    for batch in batches:
        assert 1 <= len(batch) <= order.batch_size
        assert len({bucket_of(shards, number) for number in batch}) == 1


@settings(max_examples=150, deadline=None)
@given(sets, orders, st.integers(1, 4))
def test_ranks_share_an_epoch_without_overlap_in_equally_many_batches(shards, order, ranks):
    batches = epoch_batches(shards, order, epoch=1)
    shares = [list(rank_batches(batches, rank, ranks)) for rank in range(ranks)]
    assert {len(share) for share in shares} == {steps_in(len(batches), ranks)}
    seen = np.concatenate([batch for share in shares for batch in share])
    assert set(seen.tolist()) == set(range(shards.samples))
    assert (
        len(seen) - shards.samples < ranks
    )  # repeats: only where the last round has fewer samples than ranks
    if shards.samples >= ranks * order.batch_size * len(shards.buckets):
        for step in zip(*shares, strict=True):
            assert all(len(batch) > 0 for batch in step)


def test_the_number_of_batches_is_the_same_in_every_epoch():
    shards = shard_set([(5, BUCKETS[0]), (3, BUCKETS[0]), (9, BUCKETS[1]), (2, BUCKETS[0])])
    order = Order(batch_size=2, lanes=2, window=1)
    assert {len(epoch_batches(shards, order, epoch)) for epoch in range(20)} == {10}


def test_seed_and_epoch_decide_the_order():
    shards = shard_set([(10, BUCKETS[0])] * 4)

    def order_of(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(shards, Order(batch_size=4, seed=seed), epoch)).tolist()

    assert order_of(0, 0) == order_of(0, 0)
    assert order_of(0, 0) != order_of(0, 1)
    assert order_of(0, 0) != order_of(1, 0)


def test_without_shuffling_the_index_is_the_order():
    shards = shard_set([(3, BUCKETS[0]), (4, BUCKETS[0])])
    batches = epoch_batches(shards, Order(batch_size=4, shuffle=False), epoch=5)
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6]]


def test_a_rank_reads_the_shards_of_its_own_lanes():
    shards = shard_set([(8, BUCKETS[0])] * 8)
    batches = epoch_batches(shards, Order(batch_size=4, lanes=4, window=1), epoch=0)
    read = [
        {int(number) // 8 for batch in rank_batches(batches, rank, 4) for number in batch}
        for rank in range(4)
    ]
    assert [len(shards_read) for shards_read in read] == [2, 2, 2, 2]
    assert len(set.union(*read)) == 8


def test_a_bucket_has_its_own_batch_size():
    shards = shard_set([(8, BUCKETS[0]), (6, BUCKETS[1])])
    batches = epoch_batches(shards, Order(batch_size={BUCKETS[0]: 4, BUCKETS[1]: 3}), epoch=0)
    assert sorted(map(len, batches)) == [3, 3, 4, 4]
    with pytest.raises(ValueError, match=BUCKETS[1]):
        epoch_batches(shards, Order(batch_size={BUCKETS[0]: 4}), epoch=0)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": {}}, {"batch_size": 1, "lanes": 0}])
def test_an_order_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        Order(**wrong)
