"""The peers that curation is measured against do the same work, and counts of finds are what they say."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.curation import expanded, painted
from benchmarks.curation_corpora import CASCADE, SUBSET, million_scores
from benchmarks.curation_filters import Counts, File, count, cuts, duplicates
from curation.footage import frames_of
from curation.rules import read_subset
from curation.scores.motion_vectors import cell_areas, cell_field
from curation.select import columns_of, select
from tests.curation.conftest import texture, write_video


def test_both_dense_ways_are_the_cell_grid(tmp_path):
    pan = [np.roll(texture(3, 100, 84), 3 * k, axis=1) for k in range(8)]
    for frame in frames_of(write_video(tmp_path / "a.mp4", pan), 0, 10**9, motion_vectors=True):
        field, areas = cell_field(frame), cell_areas(frame.height, frame.width)
        if field is not None:
            mean = (field * areas).sum() / areas.sum()
            assert painted(frame) == pytest.approx(mean, rel=1e-9)
            assert expanded(frame) == pytest.approx(mean, rel=1e-9)


def test_the_made_up_scores_have_what_the_strictest_subset_asks_for(tmp_path):
    million_scores(tmp_path / "s.parquet", 5000)
    table, subset = pq.read_table(tmp_path / "s.parquet"), read_subset("768px")
    missing = set(columns_of(subset.rules)) - set(table.column_names)
    assert missing == {"key_text", "aesthetics", "human"}  # of a cascade, and of weights by path
    for name in missing:
        table = table.append_column(name, pa.nulls(len(table), pa.float64()))
    verdicts = select(table, subset)
    assert 0 < verdicts.kept.sum() < 0.1 * len(table)
    idle = {"no text on keyframes", "aesthetics", "concept resampling"}  # the last thins, and spares no clip
    assert {step.rule for step in verdicts.funnel if step.idle} == idle


def test_the_cascade_of_the_benchmark_asks_for_no_more_than_its_subset():
    bounds = {(rule["score"], rule.get("min"), rule.get("below")) for rule in SUBSET if "score" in rule}
    assert {(rule["score"], rule.get("min"), rule.get("below")) for rule in CASCADE} <= bounds


def file(label, *rows, kind="spoiler", **truth):
    return File({"file": f"{label}.mp4", "label": label, "kind": kind, "fps": 8.0, **truth},
                tuple(row for row, _ in rows), tuple(frozenset(why) for _, why in rows), False)  # fmt: skip


def test_a_span_that_was_not_measured_is_rejected_for_its_length_alone():
    short = file("text", ({"usable": False}, ["whole shot", "no text"]))
    assert not short.rejected_by("no text")
    assert short.rejected_by("whole shot")
    assert file("text", ({"usable": True}, ["no text"])).rejected_by("no text")


def test_hits_wrong_finds_and_misses_are_told_apart():
    every = [file(label, ({"usable": True}, why)) for label, why in
             (("a", ["r"]), ("a", []), ("b", ["r"]), ("c", ["r"]), ("d", []))]  # fmt: skip
    found = count(every, lambda f: f.label == "a", lambda f: f.rejected_by("r"), lambda f: f.label == "c")
    assert found == Counts(1, 1, 1)
    assert (found.precision, found.recall) == (0.5, 0.5)


def test_cuts_count_one_by_one_within_a_frame():
    shots = [{"start_frame": 0}, {"start_frame": 5}, {"start_frame": 10}]
    rows = [({"usable": True, "shot": k, "start": start}, []) for k, start in enumerate((0.0, 0.75, 1.75))]
    assert cuts([file("hard_cuts", *rows, shots=shots)]) == Counts(1, 1, 1)


def test_a_copy_is_found_in_the_group_of_its_source_and_strangers_are_wrong():
    group = lambda name: ({"usable": True, "duplicate_group": name}, [])  # noqa: E731
    source, other = file("x", group("g"), kind="clip"), file("y", group("g"), kind="clip")
    copy = file("duplicate_mirrored", group("g"), source="x.mp4")
    lost = file("duplicate_cropped", group(None), source="y.mp4")
    assert duplicates([source, copy]) == Counts(1, 0, 0)
    assert duplicates([source, other, copy, lost]) == Counts(1, 1, 1)
