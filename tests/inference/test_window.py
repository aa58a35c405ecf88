"""A window's frames are evenly spaced in time, in the middle or where it is drawn; damaged files give what
precedes the damage."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.window import UnreadableError, Window, decode, shown_at
from tests.datamodules import videos

ROOT = Path(__file__).parents[2]


@given(
    available=st.integers(1, 60),
    needed=st.integers(1, 60),
    fps=st.sampled_from([8.0, 16.0, 23.976, 30000 / 1001]),
    start=st.floats(0, 100),
)
def test_the_middle_of_a_constant_rate_is_the_middle_by_index(available, needed, fps, start):
    times, window = start + np.arange(available) / fps, Window(frames=needed, fps=fps)
    if needed > available:
        with pytest.raises(UnreadableError, match=f"needs {needed} at"):
            window.choose(times)
        return
    first = (available - needed) // 2
    assert window.choose(times).tolist() == list(range(first, first + needed))


@given(available=st.integers(4, 40), draw=st.floats(0, 1, exclude_max=True))
def test_a_drawn_window_is_one_of_all_and_lies_within_the_clip(available, draw):
    found = Window(frames=4, fps=8.0).choose(np.arange(available) / 8, draw)
    assert np.diff(found).tolist() == [1, 1, 1]
    assert 0 <= found[0] == int(draw * (available - 3))
    assert found[-1] < available


def test_a_higher_rate_in_the_file_gives_frames_at_the_rate_that_is_asked_for():
    found = Window(frames=8, fps=8.0).choose(np.arange(33) / 24)
    assert np.diff(found).tolist() == [3] * 7


@given(
    gaps=st.lists(st.floats(0.02, 0.2), min_size=30, max_size=60),
    draw=st.none() | st.floats(0, 1, exclude_max=True),
)
def test_no_frame_is_nearer_to_its_instant_than_the_one_that_is_chosen(gaps, draw):
    times, window = np.cumsum(gaps), Window(frames=3, fps=8.0)
    found = window.choose(times, draw)
    spare = round((times[-1] - times[0]) * 8) - 2
    first = spare // 2 if draw is None else int(draw * (spare + 1))
    instants = times[0] + (first + np.arange(3)) / 8
    assert np.abs(times[found] - instants) == pytest.approx(np.abs(times[:, None] - instants).min(axis=0))


def test_a_cut_file_gives_its_frames_before_the_cut_and_says_what_happened(tmp_path):
    data = videos.cut(videos.noise(tmp_path / "a.mp4", 48), 0.8)
    clip = decode(data)
    assert 30 < len(clip.frames) == len(clip.times) < 40
    np.testing.assert_allclose(clip.times, np.arange(len(clip.times)) / 8)  # none is missing between others
    assert clip.choose(Window(frames=16, fps=8.0))[0] == (len(clip.times) - 16) // 2
    with pytest.raises(UnreadableError, match=r"its bucket needs 48 at 8 a second \(the file is cut there\)"):
        clip.choose(Window(frames=48, fps=8.0))


def test_only_whole_h264_is_known_from_its_packets_alone(tmp_path):
    whole = videos.noise(tmp_path / "a.mp4", 16).read_bytes()
    assert shown_at(whole) == pytest.approx(np.arange(16) / 8)
    assert shown_at(videos.av1(tmp_path / "a.mp4")) is None
    assert shown_at(videos.cut(tmp_path / "a.mp4", 0.8)) is None
    assert shown_at(b"no video") is None


def test_nothing_is_read_of_a_file_that_is_closed(tmp_path):
    """Freed memory is overwritten here, as it may be anywhere."""
    videos.noise(tmp_path / "a.mp4", 16)
    read = (
        "import sys; from pathlib import Path; from inference.window import shown_at\n"
        "print([(shown_at(Path(sys.argv[1]).read_bytes()) * 8).tolist() for _ in range(3)])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", read, tmp_path / "a.mp4"],
        env={**os.environ, "MALLOC_PERTURB_": "165"}, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout) == [[*map(float, range(16))]] * 3


@pytest.mark.parametrize("fps", [0.0, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(fps):
    with pytest.raises(UnreadableError, match=f"{fps:g} frames a second by its JSON"):
        Window(frames=1, fps=fps).choose(np.arange(3.0))


def test_frames_are_not_shown_twice_to_fill_a_bucket():
    with pytest.raises(UnreadableError, match=r"it has 8 frames in .* its bucket needs 14 at 24 a second"):
        Window(frames=14, fps=24.0).choose(np.arange(8) / 12)
