"""Clips are spans of presentation times: exact at cuts, at variable rates and after a late start."""

import pytest

from console import UserError
from curation.footage import frames_of, stamp
from curation.stages.ingest import Ingest
from curation.stages.split import Split
from tests.curation.conftest import moving, write_video


def spans(folder, name, **settings):
    row = Ingest().open(folder)({"source": name})
    return row, Split(**settings).open(folder)(row)


def tile(**more):
    return {"rule": "tile", "min_seconds": 1.0, "max_seconds": 2.0, "drop_first_seconds": 0.0, **more}


def test_a_cut_ends_a_clip_at_its_exact_frame(tmp_path):
    write_video(tmp_path / "a.mp4", [*moving(1, 16), *moving(5, 20)])
    _, rows = spans(tmp_path, "a.mp4", **tile(max_seconds=4.0))
    assert [row["frames"] for row in rows] == [16, 20]
    assert rows[0]["end_pts"] == rows[1]["start_pts"]
    assert rows[0]["end"] == pytest.approx(2.0)
    assert {row["shots"] for row in rows} == {2}


def test_tiles_cover_a_shot_and_a_short_tail_is_left(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 36))  # 4.5 s
    _, rows = spans(tmp_path, "a.mp4", **tile())
    assert [(row["start"], row["end"]) for row in rows] == [(0.0, 2.0), (2.0, 4.0)]
    assert all(row["usable"] for row in rows)


def test_a_shot_that_is_too_short_stays_as_an_unusable_row(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 6))
    _, rows = spans(tmp_path, "a.mp4", **tile())
    assert [(row["usable"], row["frames"]) for row in rows] == [(False, 6)]


def test_spans_follow_presentation_times_under_a_variable_rate(tmp_path):
    stamps = [0, 100, 200, 300, 1200, 2100, 2200, 2300, 3200, 4100]
    write_video(tmp_path / "a.mp4", moving(1, 10), stamps=stamps)
    row, rows = spans(tmp_path, "a.mp4", **tile(), detectors=("content",), threshold=200.0)
    times = [
        stamp(frame) for frame in frames_of(tmp_path / "a.mp4", rows[0]["start_pts"], rows[0]["end_pts"])
    ]
    assert row["vfr"]
    assert rows[0]["frames"] == len(times)
    assert rows[0]["seconds"] == pytest.approx(2.0, abs=0.25)
    assert len(times) == 5  # as many as are shown in the first two seconds, not two seconds of a mean rate


@pytest.mark.parametrize("start", [0, 9, 17])
def test_a_span_decodes_to_its_own_frames_wherever_it_starts(tmp_path, start):
    write_video(tmp_path / "a.mp4", moving(3, 40))
    every = [stamp(frame) for frame in frames_of(tmp_path / "a.mp4", 0, 10**9)]
    part = [stamp(frame) for frame in frames_of(tmp_path / "a.mp4", every[start], every[start + 12])]
    assert part == every[start : start + 12]


def test_the_sampled_clip_is_random_per_video_and_the_same_each_time(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 80))  # 10 s
    write_video(tmp_path / "b.mp4", moving(2, 80))
    settings = {"min_seconds": 2.0, "max_seconds": 3.0, "drop_first_seconds": 1.0}
    _, rows = spans(tmp_path, "a.mp4", **settings)
    _, again = spans(tmp_path, "a.mp4", **settings)
    _, other = spans(tmp_path, "b.mp4", **settings)
    assert rows == again
    assert len(rows) == 1
    assert rows[0]["seconds"] == pytest.approx(3.0)
    assert rows[0]["start"] >= 1.0
    assert rows[0]["start"] != other[0]["start"]


def test_the_same_content_and_span_have_the_same_id_under_another_name(tmp_path):
    first = write_video(tmp_path / "a.mp4", moving(1, 16))
    (tmp_path / "b.mp4").write_bytes(first.read_bytes())
    _, a = spans(tmp_path, "a.mp4", **tile())
    _, b = spans(tmp_path, "b.mp4", **tile())
    assert a[0]["clip_id"] == b[0]["clip_id"]


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="sample, tile"):
        Split(rule="tiles")
    with pytest.raises(UserError, match="not falling"):
        Split(min_seconds=5.0, max_seconds=4.0)
    with pytest.raises(UserError, match="adaptive"):
        Split(detectors=("transnets",))
