"""Verdicts are a pure function of the score table."""

import time

import numpy as np
import pyarrow as pa
import pytest

from console import UserError
from curation.clip import COLUMNS
from curation.rules import Measured, Resample, Subset, Threshold, Unique, read_subset
from curation.select import columns_of, select


def table(**columns):
    rows = len(next(iter(columns.values())))
    columns = {"clip_id": [f"{k:04x}" for k in range(rows)], "source": ["a.mp4"] * rows, **columns}
    return pa.table({name: pa.array(value, COLUMNS[name].type) for name, value in columns.items()})


def chosen(rules, **columns):
    verdicts = select(table(**columns), Subset("test", tuple(rules)))
    return verdicts, np.flatnonzero(verdicts.kept).tolist()


def test_bounds_are_inclusive_or_not_as_they_say():
    scores = {"vmaf_motion": [1.0, 2.0, 3.0]}
    for key, kept in {"min": [1, 2], "above": [2], "max": [0, 1], "below": [0]}.items():
        assert chosen([Threshold(name="r", score="vmaf_motion", **{key: 2.0})], **scores)[1] == kept


def test_a_missing_score_rejects_unless_told_otherwise():
    scores = {"mv_mean": [None, 1.0]}
    assert chosen([Threshold(name="r", score="mv_mean", min=0.5)], **scores)[1] == [1]
    assert chosen([Threshold(name="r", score="mv_mean", min=0.5, missing="keep")], **scores)[1] == [0, 1]


def test_every_reason_is_kept_and_the_funnel_counts_the_first():
    rules = [
        Threshold(name="size", score="short_side", min=64),
        Threshold(name="text", score="text_score", below=0.6),
    ]
    verdicts, kept = chosen(rules, short_side=[32, 64, 64], text_score=[0.9, 0.9, 0.1])
    assert kept == [2]
    assert verdicts.reasons(0) == ["size", "text"]
    assert verdicts.first() == ["size", "text", None]
    assert [(step.left, step.rejected, step.fails, step.alone) for step in verdicts.funnel] == [
        (2, 1, 1, 0),
        (1, 1, 2, 1),
    ]


def test_the_best_clip_left_of_a_group_stays():
    """The best of all has text: the next best must not be lost with it."""
    rules = [
        Threshold(name="text", score="text_score", below=0.6),
        Unique(name="copies", unique="duplicate_group"),
    ]
    _, kept = chosen(
        rules,
        text_score=[0.9, 0.0, 0.0, 0.0],
        duplicate_group=["g", "g", "g", None],
        quality=[3.0, 2.0, 1.0, None],
    )
    assert kept == [1, 3]


def test_equal_copies_leave_the_same_one_in_any_order():
    rule = Unique(name="copies", unique="duplicate_group")
    both = table(duplicate_group=["g", "g"], quality=[1.0, 1.0])
    kept = select(both, Subset("t", (rule,))).kept
    turned = select(both.take([1, 0]), Subset("t", (rule,))).kept
    assert kept.tolist() == turned[::-1].tolist() == [True, False]


def test_resampling_keeps_the_inverse_root_of_the_size_of_a_cluster():
    sizes = {0: 100, 1: 2500}
    clusters = [name for name, size in sizes.items() for _ in range(size)]
    verdicts, kept = chosen([Resample(name="r", resample="cluster")], cluster=clusters)
    counts = np.bincount([clusters[k] for k in kept])
    assert counts[0] == 100
    assert counts[1] == pytest.approx(2500 * (100 / 2500) ** 0.5, rel=0.12)
    assert verdicts.weights[-1] == pytest.approx(0.2)
    shuffled = np.random.default_rng(0).permutation(len(clusters))
    again = select(
        table(cluster=clusters).take(shuffled), Subset("t", (Resample(name="r", resample="cluster"),))
    ).kept
    assert sorted(shuffled[np.flatnonzero(again)].tolist()) == kept


def test_an_error_of_a_stage_rejects():
    rows = table(short_side=[1, 1]).append_column("visual_error", pa.array([None, "broken"], pa.string()))
    assert select(rows, Subset("t", (Measured(name="m", measured=("visual",)),))).kept.tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("name", ["demo", "720px", "768px"])
def test_the_subsets_of_the_project_read_only_columns_that_exist(name):
    subset = read_subset(name)
    stages = {f"{stage}_error" for stage in ("split", "visual", "motion", "embed")}
    assert set(columns_of(subset.rules)) <= set(COLUMNS) | stages


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [{name: a, score: sharpnes, min: 1}]", "did you mean 'sharpness'"),
        ("rules: [{name: a, score: sharpness}]", "no bound"),
        ("rules: [{name: a, score: sharpness, minn: 1}]", "unknown key 'minn' .did you mean 'min'"),
        ("rules: [{name: a}]", "exactly one of"),
        ("rules: [{name: a, score: sharpness, min: high}]", "expected float or NoneType|expected float"),
        ("rules: 3", "no list of rules"),
    ],
)
def test_a_rule_that_cannot_be_is_named(tmp_path, text, says):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(UserError, match=says):
        read_subset(tmp_path / "s.yaml")
    with pytest.raises(UserError, match="did you mean 'demo'"):
        read_subset("demoo")


@pytest.mark.slow
def test_a_million_rows_take_seconds():
    rng, rows = np.random.default_rng(0), 1_000_000
    scores = pa.table(
        {
            "clip_id": pa.array(np.char.mod("%016x", np.arange(rows))),
            "source": pa.array(np.repeat("a.mp4", rows)),
            "short_side": pa.array(rng.integers(100, 2000, rows)),
            "text_score": pa.array(rng.random(rows)),
            "vmaf_motion": pa.array(rng.random(rows) * 10),
            "duplicate_group": pa.array([None if k % 3 else f"{k // 9}" for k in range(rows)], pa.string()),
            "quality": pa.array(rng.random(rows)),
            "cluster": pa.array(rng.integers(0, 500, rows)),
        }
    )
    rules = (
        Threshold(name="size", score="short_side", min=720),
        Threshold(name="text", score="text_score", below=0.6),
        Threshold(name="motion", score="vmaf_motion", above=2.0),
        Unique(name="copies", unique="duplicate_group"),
        Resample(name="resampling", resample="cluster"),
    )
    began = time.process_time()
    select(scores, Subset("million", rules))
    assert time.process_time() - began < 10
