"""The frame rate and the camera before a caption."""

import pytest

from models.text.prefix import CAMERA_MOTIONS, prefixed, worded


def test_the_frame_rate_stands_first_as_the_paper_writes_it():
    assert prefixed("a red ball", fps=16.0) == "FPS-16, a red ball"
    assert prefixed("a red ball", fps=23.976).startswith("FPS-24, ")


def test_the_camera_follows_and_both_may_be_left_out():
    assert prefixed("a red ball", fps=24.0, camera="pan left") == "FPS-24, pan left, a red ball"
    assert prefixed("a red ball", camera="zoom in") == "zoom in, a red ball"
    assert prefixed("a red ball") == "a red ball"
    assert prefixed("", fps=16.0) == "FPS-16"


def test_there_are_sixteen_motions_and_others_are_refused():
    assert len(set(CAMERA_MOTIONS)) == 16
    with pytest.raises(ValueError, match="'swoosh' is no camera motion"):
        prefixed("a red ball", camera="swoosh")
    with pytest.raises(ValueError, match="must be positive"):
        prefixed("a red ball", fps=0.0)


def test_a_single_frame_has_neither_and_a_video_what_it_is_trained_with():
    given = {"fps": 24.0, "camera": "pan left"}
    assert worded("a ball", 1, ("fps", "camera"), **given) == "a ball"
    assert worded("a ball", 2, ("fps", "camera"), **given) == "FPS-24, pan left, a ball"
    assert worded("a ball", 2, ("fps",), **given) == "FPS-24, a ball"
    assert worded("a ball", 2, (), **given) == "a ball"
