"""An epoch that several numbers of ranks share one after the other deals each sample once, in its order."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import UserError
from datamodules.joint import JointLoader
from datamodules.loader import BatchLoader, MemorySource, Share
from datamodules.plan import Order, epoch_batches
from datamodules.quarantine import Quarantine
from datamodules.shards import read_samples
from tests.datamodules.test_joint import data
from tests.datamodules.test_joint import folder as folder  # a fixture
from tests.datamodules.test_loader import ORDER, Keys, shards, take  # noqa: F401, a fixture


def loader(shards, share, order=ORDER, excluded=frozenset()):  # noqa: F811, the imported fixture
    items = [raw["__key__"] for shard in shards.shards for raw in read_samples(shard)]
    return BatchLoader(shards, order, MemorySource(items, Keys()), share, excluded)


def run(shards, state, ranks, steps, order=ORDER, excluded=frozenset()):  # noqa: F811, the imported fixture
    """`steps` batches of each of `ranks` from `state` on, by steps; and the state after them."""
    loaders = [loader(shards, Share(rank, ranks), order, excluded) for rank in range(ranks)]
    for each in loaders:
        if state is not None:
            each.load_state_dict(state)
    remaining = len(loaders[0]) - loaders[0].position
    rows = [list(itertools.islice(each, min(steps, remaining))) for each in loaders]
    states = [each.state_dict() for each in loaders]
    assert all(other == states[0] for other in states)
    return [[batch["numbers"] for batch in step] for step in zip(*rows, strict=True)], states[0]


def flat(steps):
    return [number for step in steps for batch in step for number in batch]


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3), (4, 2), (3, 4)])
@pytest.mark.parametrize("order", [ORDER, Order(batch_size=2, seed=5, lanes=3)])
def test_each_remaining_sample_comes_once_at_another_number_of_ranks(shards, before, after, order):  # noqa: F811, the imported fixture
    whole = len(loader(shards, Share(0, before), order))
    for stop in range(whole):
        first, state = run(shards, None, before, stop, order)
        second, end = run(shards, state, after, 1000, order)
        seen = flat(first) + flat(second)
        assert sorted(set(seen)) == list(range(shards.samples))
        repeated = len(seen) - shards.samples  # where the last round has fewer samples than ranks
        assert 0 <= repeated < min(after, len(flat(second[-1:])))
        assert (end["epoch"], end["dealt"]) == (1, 0)


def test_the_batches_that_follow_are_those_of_the_plan_in_its_order(shards):  # noqa: F811, the imported fixture
    planned = [batch.tolist() for batch in epoch_batches(shards, ORDER, 0)]
    first, state = run(shards, None, 2, 2)
    second, _ = run(shards, state, 1, 1000)
    assert [batch for step in first + second for batch in step] == planned


def test_a_step_of_two_ranks_is_two_batches_of_one(shards):  # noqa: F811, the imported fixture
    """So that half the ranks with twice the accumulation make the same steps."""
    two, _ = run(shards, None, 2, 3)
    one, _ = run(shards, None, 1, 6)
    assert [batch for step in two for batch in step] == [batch for (batch,) in one]


@given(plan=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), max_size=5))
def test_any_number_of_changes_loses_and_repeats_nothing(shards, plan):  # noqa: F811, the imported fixture
    state, seen = None, []
    for ranks, steps in plan:
        if state is not None and state["epoch"] > 0:
            break
        part, state = run(shards, state, ranks, steps)
        seen += flat(part)
    if state is None or state["epoch"] == 0:
        part, state = run(shards, state, 1, 1000)
        seen += flat(part)
    assert set(seen) == set(range(shards.samples))
    last_round_short = len(seen) - shards.samples  # only single samples that outnumber no ranks come twice
    assert last_round_short <= 4


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 4)])
def test_the_shift_says_how_far_a_rank_was_moved(shards, before, after):  # noqa: F811, the imported fixture
    whole = len(loader(shards, Share(0, before)))
    for stop in range(1, whole + 1):
        _, state = run(shards, None, before, stop)
        resumed = loader(shards, Share(0, after))
        resumed.load_state_dict(state)
        counted = stop + resumed.shift  # what Lightning's count becomes
        assert len(resumed) - counted == (len(list(resumed)) if stop < whole else 0)


def test_nothing_is_moved_on_the_same_number_of_ranks(shards):  # noqa: F811, the imported fixture
    for stop in range(5):
        _, state = run(shards, None, 2, stop)
        resumed = loader(shards, Share(1, 2))
        resumed.load_state_dict(state)
        assert (resumed.shift, resumed.position) == (0, stop % len(resumed))


def test_excluded_samples_never_come_and_all_others_do(shards):  # noqa: F811, the imported fixture
    bad = frozenset({0, 7, 8, 22})
    for ranks in (1, 2, 3):
        seen, _ = run(shards, None, ranks, 1000, excluded=bad)
        assert set(flat(seen)) == set(range(shards.samples)) - bad


@pytest.mark.parametrize("ranks", [1, 2])
def test_samples_that_are_excluded_amid_an_epoch_leave_the_rest_as_it_was(shards, ranks):  # noqa: F811, the imported fixture
    whole, _ = run(shards, None, ranks, 1000)
    first, state = run(shards, None, ranks, 2)
    bad = frozenset(number for batch in whole[2] for number in batch)
    second, _ = run(shards, state, ranks, 1000, excluded=bad)
    assert set(flat(first) + flat(second)) == set(range(shards.samples)) - bad
    if ranks == 1:
        assert second == whole[3:]


def test_a_set_of_which_nothing_is_left_is_refused(shards):  # noqa: F811, the imported fixture
    with pytest.raises(UserError, match=r"All 23 samples .* are excluded"):
        loader(shards, Share(), excluded=range(23))


def test_the_last_batch_is_known_by_its_numbers(shards):  # noqa: F811, the imported fixture
    batches = loader(shards, Share(1, 2))
    last = take(batches, 5)[-1]
    assert batches.last == (shards.fingerprint, last["numbers"])


def test_a_joint_epoch_goes_on_at_another_number_of_ranks(shards):  # noqa: F811, the imported fixture
    def joint(rank, ranks):
        share = Share(rank, ranks)
        return JointLoader(loader(shards, share), loader(shards, share, Order(batch_size=2, seed=5)), 0.25)

    before = [joint(rank, 2) for rank in range(2)]
    seen = [take(each, 3) for each in before]
    state = before[0].state_dict()
    assert state == before[1].state_dict()
    after = joint(0, 1)
    after.load_state_dict(state)
    rest = list(after)
    assert after.position == 0
    assert 3 + after.shift + len(rest) == len(after)
    videos = [n for rows in seen for batch in rows for n in batch["numbers"]]
    plan = [batch.tolist() for batch in epoch_batches(shards, ORDER, 0)]
    assert sorted(videos) == sorted(n for batch in plan[:6] for n in batch)
    (first,) = [batch["numbers"] for batch in rest[1:2]]  # rest[0] is the turn of the images
    assert first == plan[6] if len(plan) > 6 else first


def test_a_run_leaves_out_what_its_quarantine_names(folder, tmp_path):
    plain = data(folder, share=0.0)
    fingerprint = plain._sources["train"][0].fingerprint
    Quarantine(tmp_path).add(fingerprint, {3: {"clip_id": "x"}})
    Quarantine(tmp_path).add(fingerprint, {5: {"clip_id": "y"}, 3: {"clip_id": "z"}})
    Quarantine(tmp_path).add("of other data", {0: {}})
    assert Quarantine(tmp_path).numbers(fingerprint) == {3, 5}

    class Trainer:
        default_root_dir, strategy = tmp_path, None

    for share in (0.0, 0.25):
        made = data(folder, share=share)
        ids = [clip.clip_id for clip in made._sources["train"][1]._items]
        made.trainer = Trainer()
        made.setup("fit")
        seen = {clip for batch in take(made.train_dataloader(), 40) for clip in batch["clip_id"]}
        assert seen == set(ids) - {ids[3], ids[5]}
        assert len(made.val_dataloader()) > 0


def test_a_quarantine_that_cannot_be_read_is_named(tmp_path):
    Quarantine(tmp_path).path.write_text("[1, 2]")
    with pytest.raises(UserError, match=r"quarantine\.json' is no list of samples"):
        Quarantine(tmp_path).numbers("x")
