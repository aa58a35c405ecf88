"""Every sample once an epoch, in an order that the seed and the epoch decide, for any number of ranks."""

from collections import Counter
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
@given(sets, orders, st.integers(1, 40), st.integers(0, 5))
def test_ranks_share_an_epoch_in_equally_many_batches_and_count_each_sample_once(shards, order, ranks, begin):
    batches = epoch_batches(shards, order, epoch=1)
    begin = min(begin, len(batches) - 1)
    shares = [list(rank_batches(batches, rank, ranks, begin)) for rank in range(ranks)]
    assert {len(share) for share in shares} == {steps_in(len(batches) - begin, ranks)}
    counted = [dealt.batch for share in shares for dealt in share if not dealt.repeated]
    assert sorted(np.concatenate(counted)) == sorted(np.concatenate(batches[begin:]))
    assert not any(dealt.repeated for share in shares for dealt in share[:-1])
    for step in zip(*shares, strict=True):
        assert_even(step, shards.samples)


def assert_even(step, samples):
    """In a step of all ranks no sample comes twice as far as there are samples, and then all do."""
    times = Counter(np.concatenate([dealt.batch for dealt in step]).tolist())
    most = -(-len(step) // samples)
    assert max(times.values()) <= most
    assert most == 1 or min(times.get(number, 0) for number in range(samples)) >= most - 1


@pytest.mark.parametrize(
    ("samples", "size", "ranks"), [(1600, 2, 768), (49, 16, 64), (800, 1, 768), (5, 2, 768), (1, 1, 8)]
)
def test_a_last_round_of_few_samples_on_many_ranks_gives_each_sample_the_same_weight(samples, size, ranks):
    batches = epoch_batches(shard_set([(samples, BUCKETS[0])]), Order(batch_size=size), epoch=0)
    last = [list(rank_batches(batches, rank, ranks))[-1] for rank in range(ranks)]
    assert {len(dealt.batch) for dealt in last} == {1}  # ranks are averaged, so samples are too
    assert_even(last, samples)


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
        {int(number) // 8 for dealt in rank_batches(batches, rank, 4) for number in dealt.batch}
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
