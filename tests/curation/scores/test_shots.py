"""Cuts of all detectors, and those that only a change of colours shows."""

import numpy as np
import pytest

from curation.scores.colour_cuts import histogram
from curation.scores.shots import ShotFinder
from tests.curation.conftest import moving, texture


def shots(frames, *detectors, shortest=3):
    finder = ShotFinder(detectors, 27.0, 8.0, shortest)
    for frame in frames:
        finder.see(np.ascontiguousarray(frame[..., ::-1]))
    return finder.shots()


def on_one_background(colour, count=8, start=4):
    frames = []
    for k in range(count):
        frame = texture(3).copy()
        frame[20:38, start + 3 * k : start + 3 * k + 18] = colour
        frames.append(frame)
    return frames


@pytest.mark.parametrize("detector", ["adaptive", "content", "colour"])
def test_a_hard_cut_is_found_to_the_frame(detector):
    found = shots([*moving(1, 12), *moving(6, 12)], detector)
    assert found == [(0, 12), (12, 24)]


def test_another_object_on_the_same_background_is_a_cut_by_colours_alone():
    frames = [*on_one_background((220, 40, 40)), *on_one_background((40, 60, 220), start=10)]
    assert shots(frames, "content") == [(0, 16)]
    assert shots(frames, "content", "colour") == [(0, 8), (8, 16)]


def test_motion_and_a_slow_change_of_light_are_no_cuts():
    fading = [(texture(2) * (0.6 + 0.02 * k)).astype(np.uint8) for k in range(16)]
    wide = np.concatenate([texture(4, 64, 96), texture(5, 64, 96)], axis=1)
    pan = [np.ascontiguousarray(wide[:, 3 * k : 3 * k + 64]) for k in range(16)]
    for frames in (moving(1, 16), fading, pan, [texture(1)] * 16):
        assert shots(frames, "colour") == [(0, 16)]


def test_a_cut_near_the_end_is_found_when_the_video_is_over():
    frames = [*moving(1, 12), *moving(6, 3)]
    assert shots(frames, "colour") == [(0, 12), (12, 15)]


def test_a_histogram_is_a_share_of_the_picture():
    assert histogram(texture(1)).sum() == pytest.approx(1.0, abs=0.05)
    dark = histogram(np.zeros((8, 8, 3), np.uint8))
    assert dark[0, 0, 0] == dark.max() < 1.0  # smoothed
