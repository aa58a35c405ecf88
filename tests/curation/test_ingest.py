"""Container facts come from presentation times; a file that is no video is a row with an error."""

import json
import subprocess

import imageio_ffmpeg
import pytest

from curation.listing import sidecar
from curation.stages.ingest import Ingest, captions
from tests.curation.conftest import moving, write_sound, write_video


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
    video, beside = tmp_path / "a.mp4", tmp_path / "a.json"
    assert sidecar(video) is None
    (tmp_path / "a.txt").write_text(" two\nlines ")
    assert json.loads(captions(sidecar(video))["sidecar"])[0]["text"] == "two lines"
    (tmp_path / "a.json").write_text('{"captions": [{"start": 0, "end": 1.5, "text": "x"}]}')
    assert json.loads(captions(sidecar(video))["sidecar"]) == [{"start": 0.0, "end": 1.5, "text": "x"}]
    (tmp_path / "a.json").write_text('{"captions": [{"text": "x"}]}')
    assert "start" in captions(beside)["sidecar_error"]
    (tmp_path / "a.json").write_text("{")
    assert "JSONDecodeError" in captions(beside)["sidecar_error"]


def ffmpeg(*words: str) -> None:
    """FFmpeg's own program, for what PyAV cannot write."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *words]
    subprocess.run(command, check=True, timeout=60)


def test_a_turned_file_has_the_sides_that_a_player_shows(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 8, height=64, width=96))
    ffmpeg("-display_rotation", "90", "-i", str(tmp_path / "a.mp4"), "-c", "copy", str(tmp_path / "b.mp4"))
    row = Ingest().open(tmp_path)({"source": "b.mp4"})
    assert (row["width"], row["height"], row["orientation"]) == (64, 96, "portrait")
    assert row["rotation"] in (90, 270)
    assert row["aspect"] == pytest.approx(64 / 96)


def test_pixels_that_are_not_square_count_for_the_aspect(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 8))
    ffmpeg("-i", str(tmp_path / "a.mp4"), "-vf", "setsar=2/1", str(tmp_path / "b.mp4"))
    row = Ingest().open(tmp_path)({"source": "b.mp4"})
    assert (row["width"], row["pixel_aspect"], row["aspect"]) == (64, 2.0, 2.0)


def test_several_streams_a_late_start_and_no_length_in_the_header(tmp_path):
    stamps = [700 + 125 * k for k in range(8)]
    write_video(tmp_path / "a.mkv", moving(1, 8), stamps=stamps)
    write_sound(tmp_path / "s.wav", seconds=2.0)
    both = ["-copyts", "-i", str(tmp_path / "a.mkv"), "-i", str(tmp_path / "s.wav"), "-c:v", "copy"]
    every = ["-map", "0:v", "-map", "0:v", "-map", "1:a", "-map", "1:a", "-live", "1", "-f", "matroska"]
    ffmpeg(*both, *every, str(tmp_path / "b.mkv"))
    row = Ingest().open(tmp_path)({"source": "b.mkv"})
    assert (row["video_streams"], row["audio_streams"], row["header_seconds"]) == (2, 2, None)
    assert (row["file_frames"], row["file_fps"]) == (8, pytest.approx(8.0))
    assert (row["file_start"], row["file_seconds"]) == (pytest.approx(0.7), pytest.approx(1.0, abs=0.01))
    assert (row["audio_rate"], row["audio_channels"]) == (16000, 1)
    assert row["audio_seconds"] == pytest.approx(2.0, abs=0.1)
    assert row["audio_lag"] == pytest.approx(-0.7, abs=0.05)


def test_sound_that_cannot_be_decoded_has_a_fault_and_the_video_stays(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 8))
    write_sound(tmp_path / "s.wav", seconds=1.0)
    two = ["-i", str(tmp_path / "a.mp4"), "-i", str(tmp_path / "s.wav"), "-c:v", "copy", "-c:a", "flac"]
    ffmpeg(*two, str(tmp_path / "b.mkv"))
    whole = (tmp_path / "b.mkv").read_bytes()
    (tmp_path / "c.mkv").write_bytes(whole.replace(b"\xff\xf8", b"\x00\x00"))  # how its frames begin
    row = Ingest().open(tmp_path)({"source": "b.mkv"})
    assert (row["audio"], row.get("audio_fault")) == ("flac", None)
    row = Ingest().open(tmp_path)({"source": "c.mkv"})
    assert row["file_frames"] == 8
    assert row["audio_fault"]


def test_one_frame_is_a_video(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 1), fps=4)
    row = Ingest().open(tmp_path)({"source": "a.mp4"})
    assert (row["file_frames"], row["file_fps"], row["vfr"]) == (1, 4.0, False)
    assert row["file_seconds"] == pytest.approx(0.25)


@pytest.mark.parametrize("kind", ["hls", "concat"])
def test_a_playlist_that_is_called_a_video_opens_nothing(tmp_path, kind):
    write_video(tmp_path / "secret.mp4", moving(1))
    lists = {
        "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "concat": "ffconcat version 1.0\nfile secret.mp4\n",
    }
    (tmp_path / "list.mp4").write_text(lists[kind])
    with pytest.raises(ValueError, match="not a readable video"):
        Ingest().open(tmp_path)({"source": "list.mp4"})


def test_frames_that_are_too_large_are_not_decoded(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 2))
    with pytest.raises(ValueError, match=r"64x64 are larger than ingest\.megapixels = 0\.004"):
        Ingest(megapixels=0.004).open(tmp_path)({"source": "a.mp4"})
