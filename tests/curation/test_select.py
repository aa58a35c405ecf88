"""Verdicts are a pure function of the score table."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from console import UserError
from curation.clip import COLUMNS
from curation.funnel import remarks
from curation.rules import SKIPPED, Measured, Resample, Subset, Threshold, Unique, read_subset
from curation.select import columns_of, select

SUBSETS = Path(__file__).parents[2] / "configs" / "curation" / "subsets"


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


@pytest.mark.parametrize(("column", "marks"), [("human", (True, False)), ("face_rate", (0.2, 0.0))])
def test_clips_with_people_keep_their_frequency_when_others_are_thinned(column, marks):
    clusters = [0] * 50 + [1] * 2000
    people = [marks[k % 2] if k % 4 < 2 else None for k in range(2050)]
    rule = Resample(name="r", resample="cluster", preserve=column)
    verdicts, kept = chosen([rule], cluster=clusters, **{column: people})
    spared = {k for k, mark in enumerate(people) if mark == marks[0]}
    assert spared <= set(kept)
    counts = [sum(clusters[k] == name for k in kept if k not in spared) for name in (0, 1)]
    sizes = [sum(clusters[k] == name for k in range(2050) if k not in spared) for name in (0, 1)]
    assert counts[0] == sizes[0]
    assert counts[1] == pytest.approx((sizes[0] * sizes[1]) ** 0.5, rel=0.15)
    assert (verdicts.weights[sorted(spared)] == 1).all()
    assert remarks(verdicts) == []


def test_resampling_that_spares_nobody_is_told():
    rule = Resample(name="r", resample="cluster", preserve="human")
    verdicts, _ = chosen([rule], cluster=[0, 1], human=[None, None])
    assert "spares no clip" in remarks(verdicts)[0]
    assert "embed.clip" in remarks(verdicts)[0]


def test_an_error_of_a_stage_rejects():
    rows = table(short_side=[1, 1]).append_column("visual_error", pa.array([None, "broken"], pa.string()))
    assert select(rows, Subset("t", (Measured(name="m", measured=("visual",)),))).kept.tolist() == [
        True,
        False,
    ]


def test_a_rule_may_concern_some_rows_only():
    rule = Threshold(name="r", score="diegetic", above=0.3, when="audio_class", among=("music",))
    scores = {"diegetic": [0.1, 0.1, 0.4, None], "audio_class": ["music", "sound", "music", "music"]}
    assert chosen([rule], **scores)[1] == [1, 2]
    with pytest.raises(UserError, match="give both"):
        Threshold(name="r", score="diegetic", above=0.3, when="audio_class")


def test_equals_compares_flags_numbers_and_words():
    for score, values, wanted in (
        ("usable", [True, False, None], True), ("shot", [2, 1, None], 2.0),
        ("orientation", ["square", "portrait", None], "square"),
    ):  # fmt: skip
        assert chosen([Threshold(name="r", score=score, equals=wanted)], **{score: values})[1] == [0]
    with pytest.raises(UserError, match="never 'yes'"):
        chosen([Threshold(name="r", score="usable", equals="yes")], usable=[True])


def test_a_score_that_the_cascade_skipped_neither_passes_nor_fails():
    rules = [
        Threshold(name="size", score="short_side", min=64),
        Threshold(name="motion", score="vmaf_motion", above=2.0),
        Unique(name="copies", unique="duplicate_group"),
    ]
    scores = {"short_side": [32, 64, 64, 64], "vmaf_motion": [None, None, 3.0, None]}
    rows = table(**scores, duplicate_group=["g"] * 4, quality=[9.0, 9.0, 1.0, 9.0])
    reasons = pa.array(["size: 32", "text: 0.9", None, None], pa.string())
    verdicts = select(rows.append_column(SKIPPED, reasons), Subset("t", tuple(rules)))
    assert verdicts.kept.tolist() == [False, False, True, False]
    assert [verdicts.reasons(k) for k in range(4)] == [["size"], ["not measured"], [], ["motion"]]
    assert verdicts.first() == ["size", "not measured", None, "motion"]
    assert [(step.left, step.rejected, step.unknown) for step in verdicts.funnel] == [
        (3, 1, 0), (1, 1, 1), (1, 0, 0)
    ]  # fmt: skip
    assert verdicts.unmeasured == 1
    assert "1 clips fail no rule" in remarks(verdicts)[0]


def test_the_cost_of_a_rule_is_what_leaving_it_out_brings():
    """The second best copy comes in only for the best: leaving out `size` changes who is the best."""
    rules = [
        Threshold(name="size", score="short_side", min=64),
        Unique(name="copies", unique="duplicate_group"),
    ]
    scores = {"short_side": [32, 64, 64, 32], "duplicate_group": ["g", "g", "g", None]}
    verdicts, kept = chosen(rules, **scores, quality=[3.0, 2.0, 1.0, None])
    assert kept == [1]
    assert [step.alone for step in verdicts.funnel] == [1, 1]


def test_a_rule_without_any_score_is_told_and_never_passed_over():
    rejecting = Threshold(name="one face", score="single_face", min=1.0)
    keeping = Threshold(name="beauty", score="aesthetics", min=4.0, missing="keep")
    verdicts, kept = chosen([rejecting, keeping], single_face=[None, None], aesthetics=[None, None])
    assert kept == []
    assert [step.idle for step in verdicts.funnel] == [True, True]
    first, second = remarks(verdicts)
    assert "'one face' rejects every clip" in first
    assert "The faces stage has not run" in first
    assert "'beauty' lets every clip pass" in second


@pytest.mark.parametrize("name", sorted(path.stem for path in SUBSETS.glob("*.yaml")))
def test_the_subsets_of_the_project_read_only_columns_that_exist(name):
    subset = read_subset(name)
    names = ("split", "visual", "motion", "embed", "faces", "audio", "caption")
    stages = {f"{stage}_error" for stage in names}
    assert set(columns_of(subset.rules)) <= set(COLUMNS) | stages


@pytest.mark.parametrize("name", sorted(path.stem for path in SUBSETS.glob("*.yaml")))
def test_the_subsets_of_the_project_take_a_clip_once(name):
    """Also where a file has two names; which of the near-duplicates stays is asked after that."""
    unique = [rule.unique for rule in read_subset(name).rules if isinstance(rule, Unique)]
    assert unique == ["clip_id", "duplicate_group"]


def test_the_strictest_subset_is_table_38_in_its_order():
    rules = {rule.name: rule for rule in read_subset("768px").rules}
    bounds = {
        name: (rule.score, rule.bounds()) for name, rule in rules.items() if isinstance(rule, Threshold)
    }
    paper = {
        "duration": ("file_seconds", {"min": 4, "max": 120}), "width": ("width", {"min": 768}),
        "height": ("height", {"min": 768}), "aspect": ("aspect", {"min": 1}),
        "no text": ("text_score", {"below": 0.6}), "aesthetics": ("aesthetics", {"min": 4.0}),
        "no slow motion": ("vmaf_motion", {"above": 2.0}),
        "motion vectors": ("mv_mean", {"above": 0.5, "below": 7}),
        "no jitter": ("shots_per_second", {"below": 0.85}),
    }  # fmt: skip
    assert {name: bounds[name] for name in paper} == paper
    order = [name for name in rules if name in {*paper, "no border", "no duplicates", "concept resampling"}]
    assert order == [
        "duration", "width", "height", "aspect", "no text", "no border", "aesthetics", "no slow motion",
        "motion vectors", "no jitter", "no duplicates", "concept resampling",
    ]  # fmt: skip


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
