"""decord and PyAV read the same frames; what decord cannot read PyAV does, as far as a file goes."""

import numpy as np
import pytest

from datamodules.decode import UnreadableError, Window, decode_clip
from datamodules.shards import Bucket
from tests.datamodules import videos


def frames_of(data, count, fps=8.0, size=16, **options):
    bucket = Bucket(size, size, count)
    return decode_clip(data, bucket, Window(frames=count, fps=fps), "clip", **options).frames


def test_an_av1_file_which_decord_cannot_open_gives_its_frames(tmp_path):
    import decord

    data = videos.av1(videos.numbered(tmp_path / "a.mp4", 12, size=64))
    with pytest.raises((decord.DECORDError, RuntimeError)):
        decord.VideoReader(str(tmp_path / "a.av1.mp4"))
    assert videos.numbers(frames_of(data, 6, size=64)) == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_cut_file_gives_the_middle_of_what_is_left(tmp_path, share):
    whole = frames_of(videos.noise(tmp_path / "a.mp4", 48).read_bytes(), 48, size=32)
    found = frames_of(videos.cut(tmp_path / "a.mp4", share), 16, size=32)
    distance = np.abs(whole[:, None].astype(int) - found[None]).mean(axis=(2, 3, 4))
    places = distance.argmin(axis=0)
    assert distance.min(axis=0).max() < 3
    assert np.diff(places).tolist() == [1] * 15
    assert 0.35 * share < (places.mean() + 0.5) / 48 < 0.5 * share


def test_a_cut_file_with_too_few_frames_says_so(tmp_path):
    data = videos.cut(videos.noise(tmp_path / "a.mp4", 48), 0.8)
    with pytest.raises(UnreadableError, match=r"'clip' cannot be read: .*needs 48 .*the file is cut there"):
        frames_of(data, 48, size=32)


def test_a_damaged_middle_gives_what_precedes_it(tmp_path):
    """The packets are all there, and decord is asked first."""
    path = videos.noise(tmp_path / "a.mp4", 48)
    whole = frames_of(path.read_bytes(), 48, size=32)
    data = bytearray(path.read_bytes())
    data[len(data) * 7 // 10 :] = bytes(len(data) - len(data) * 7 // 10)
    found = frames_of(bytes(data), 8, size=32)
    assert np.abs(whole[:, None].astype(int) - found[None]).mean(axis=(2, 3, 4)).min(axis=0).max() < 3


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_variable_rate_gives_evenly_spaced_frames(tmp_path, codec):
    film = videos.uneven(tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes() if codec == "h264" else videos.av1(tmp_path / "a.mp4")
    bucket, window = Bucket(film.format.width, film.format.height, 20), Window(frames=20, fps=8.0)
    reel = decode_clip(data, bucket, window, "clip")
    stamps = np.array(film.stamps)
    spacing = np.diff(reel.times)
    assert np.abs(reel.times - reel.times[0] - np.arange(20) / 8).max() < np.diff(stamps).max()
    assert 1 / 8 - 2e-3 < spacing.mean() < 1 / 8 + 1e-2
    nearest = np.abs(stamps[:, None] - reel.times).argmin(axis=0)
    assert np.abs(stamps[nearest] - reel.times).max() < 2e-3
    shown = film.pixels()[nearest].astype(int)
    assert np.abs(shown - reel.frames).mean() < 6  # 4:2:0 chroma and compression


def test_all_of_a_clip_is_there_for_a_window_to_be_drawn(tmp_path):
    data = videos.numbered(tmp_path / "a.mp4", 12).read_bytes()
    assert videos.numbers(frames_of(data, 4, whole=True)) == list(range(12))
    assert videos.numbers(frames_of(data, 4)) == [4, 5, 6, 7]
