"""What a report shows is chosen by rules, and is as much of a million rows as of a hundred."""

import numpy as np
import pyarrow as pa
import pytest

from curation.report import galleries
from curation.report.facts import BINS, histograms
from curation.rules import Threshold, Unique
from curation.select import Subset, select

RULES = (
    Threshold(name="moving", score="vmaf_motion", above=2.0),
    Threshold(name="calm", score="mv_mean", min=0.5, max=7.0, missing="keep"),
    Unique(name="no duplicates", unique="duplicate_group"),
)


def clips(count: int, seed: int = 0) -> pa.Table:
    dice = np.random.default_rng(seed)
    groups = [f"g{k // 3}" if k % 10 < 3 else None for k in range(count)]
    return pa.table({
        "clip_id": [f"c{k:07d}" for k in range(count)],
        "source": [f"{k}.mp4" for k in range(count)],
        "start_pts": pa.array([None if k % 7 == 0 else 0 for k in range(count)], pa.int64()),
        "vmaf_motion": dice.gamma(2.0, 2.0, count),
        "mv_mean": pa.array([None if k % 5 == 0 else v for k, v in enumerate(dice.gamma(2.0, 2.0, count))]),
        "quality": dice.random(count),
        "duplicate_group": pa.array(groups, pa.string()),
        "cluster": dice.integers(0, 40, count),
    })  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return clips(2000)


@pytest.fixture(scope="module")
def verdicts(table):
    return select(table, Subset("s", RULES))


def test_the_clips_at_a_threshold_are_the_nearest_on_each_side(table, verdicts):
    edges = galleries.edges(table, verdicts, 3)
    assert [(edge.rule, edge.says) for edge in edges] == [
        ("moving", "> 2"),
        ("calm", ">= 0.5"),
        ("calm", "<= 7"),
    ]
    there = table.column("start_pts").is_valid().to_numpy()
    signs = (np.greater, np.greater_equal, np.less_equal)
    for edge, bound, sign in zip(edges, (2.0, 0.5, 7.0), signs, strict=True):
        values = table.column(edge.score).to_numpy()
        passes = sign(values, bound)
        for side, rows in ((passes, edge.inside), (~passes & np.isfinite(values), edge.outside)):
            near = sorted(np.abs(values - bound)[side & there])[:3]
            np.testing.assert_array_equal(np.abs(values - bound)[rows], near)


def test_equal_distances_are_taken_in_the_order_of_the_rows():
    same = np.zeros(50)
    assert galleries._nearest(same, np.arange(50) % 2 == 1, 4) == [1, 3, 5, 7]
    assert galleries._nearest(same, np.ones(50, bool), 0) == []


def test_every_first_reason_has_examples_and_kept_clips_are_spread(table, verdicts):
    shown = galleries.rejected(verdicts, 1)
    first = verdicts.first()
    assert {first[row] for row in shown} == {reason for reason in first if reason}
    assert len(shown) == galleries.PER_REASON * len({first[row] for row in shown})
    kept = galleries.kept(verdicts, 5)
    assert all(verdicts.kept[row] for row in kept)
    assert kept[0] == np.flatnonzero(verdicts.kept)[0]
    assert kept[-1] == np.flatnonzero(verdicts.kept)[-1]
    assert galleries.rejected(verdicts, 0) == galleries.kept(verdicts, 0) == []


def test_groups_are_the_largest_and_begin_with_their_best(table):
    groups = galleries.duplicates(table, 4)
    sizes = {
        one["values"]: one["counts"]
        for one in table.column("duplicate_group").drop_null().value_counts().to_pylist()
    }
    assert [group.size for group in groups] == sorted(sizes.values(), reverse=True)[:4]
    quality = table.column("quality").to_numpy()
    for group in groups:
        assert {table.column("duplicate_group")[row].as_py() for row in group.rows} == {group.name}
        assert quality[group.rows[0]] == max(quality[row] for row in group.rows)


def test_clusters_are_the_largest_and_the_smallest(table):
    shown = galleries.clusters(table, 6)
    sizes = sorted(np.bincount(table.column("cluster").to_numpy()), reverse=True)
    assert [group.size for group in shown] == [*sizes[:4], *sizes[-2:]]
    assert all(len(group.rows) == galleries.PER_CLUSTER for group in shown)
    assert len(galleries.clusters(table, 99)) == 40


def test_a_histogram_counts_every_clip_once_and_has_its_thresholds_inside(table, verdicts):
    drawn = histograms(table, verdicts)
    assert [entry["score"] for entry in drawn] == ["vmaf_motion", "mv_mean"]
    for entry in drawn:
        assert len(entry["counts"]) == BINS
        assert sum(entry["counts"]) == len(table.column(entry["score"]).drop_null())
        assert all(entry["edges"][0] <= line["at"] <= entry["edges"][-1] for line in entry["lines"])
        assert 0 < entry["beyond"] < 20


@pytest.mark.parametrize("empty", [clips(0), clips(3).slice(0, 0)])
def test_nothing_is_no_trouble(empty):
    verdicts = select(empty, Subset("s", RULES))
    assert (
        galleries.edges(empty, verdicts, 3)
        == galleries.duplicates(empty, 3)
        == galleries.clusters(empty, 3)
        == []
    )
    assert galleries.kept(verdicts, 3) == galleries.rejected(verdicts, 3) == histograms(empty, verdicts) == []
