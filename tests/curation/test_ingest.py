"""Container facts come from presentation times; a file that is no video is a row with an error."""

import json

import pytest

from curation.stages.ingest import Ingest, captions
from tests.curation.conftest import moving, write_video


@pytest.fixture
def ingest(raw):
    return Ingest().open(raw)


def test_facts_of_an_ordinary_file(ingest):
    row = ingest({"source": "clip 0.mp4"})
    assert (row["width"], row["height"], row["file_frames"], row["codec"]) == (64, 64, 16, "h264")
    assert row["file_fps"] == pytest.approx(8.0)
    assert row["file_seconds"] == pytest.approx(2.0)
    assert not row["vfr"]
    assert json.loads(row["sidecar"]) == [{"start": None, "end": None, "text": "a square moves right"}]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.mp4", "empty"),
        ("notes.mp4", "not a readable video"),
        ("sound.mp4", "no video stream"),
        ("cut.mp4", "not a readable video|truncated"),
    ],
)
def test_what_is_no_video_says_why(ingest, name, says):
    with pytest.raises(ValueError, match=says):
        ingest({"source": name})


def test_a_variable_frame_rate_is_seen_and_averaged_over_time(tmp_path):
    stamps = [0, 50, 300, 350, 800, 850, 1300, 1400]
    write_video(tmp_path / "v.mp4", moving(1, 8), stamps=stamps)
    row = Ingest().open(tmp_path)({"source": "v.mp4"})
    assert row["vfr"]
    assert row["file_fps"] == pytest.approx(7 / 1.4, rel=0.01)


def test_captions_beside_a_video_are_read_and_bad_ones_are_noted(tmp_path):
    video = tmp_path / "a.mp4"
    assert captions(video) == {}
    (tmp_path / "a.txt").write_text(" two\nlines ")
    assert json.loads(captions(video)["sidecar"])[0]["text"] == "two lines"
    (tmp_path / "a.json").write_text('{"captions": [{"start": 0, "end": 1.5, "text": "x"}]}')
    assert json.loads(captions(video)["sidecar"]) == [{"start": 0.0, "end": 1.5, "text": "x"}]
    (tmp_path / "a.json").write_text('{"captions": [{"text": "x"}]}')
    assert "start" in captions(video)["sidecar_error"]
    (tmp_path / "a.json").write_text("{")
    assert "JSONDecodeError" in captions(video)["sidecar_error"]
