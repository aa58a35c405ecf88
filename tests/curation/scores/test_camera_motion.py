"""A camera's motion has its name; an object that moves does not."""

import cv2
import numpy as np
import pytest

from curation.footage import watch
from curation.scores import parallax, tracks
from curation.scores.camera_motion import CameraMotion, Move, classify
from tests.curation.conftest import write_video

FRAMES, FPS = 24, 12


def scenery(seed=0, side=160):
    picture = np.random.default_rng(seed).integers(30, 226, (14, 14, 3), dtype=np.uint8)
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)


def filmed(x=0.0, y=0.0, zoom=1.0, seed=0):
    """A camera that goes by (x, y) frame sides a second over scenery, and magnifies by `zoom` in all."""
    wide, frames = scenery(seed), []
    for k in range(FRAMES):
        share = k / (FRAMES - 1)
        scale = zoom ** (share - 0.5)
        left, top = 48 + 64 * 2 * x * (share - 0.5), 48 + 64 * 2 * y * (share - 0.5)
        centre = np.array([left + 32, top + 32])
        matrix = np.hstack([np.eye(2) * scale, (32 - scale * centre)[:, None]])
        frames.append(cv2.warpAffine(wide, matrix, (64, 64)))
    return frames


def measure(tmp_path, frames):
    observer = CameraMotion(float(FPS), len(frames) / FPS)
    (watched,) = watch(write_video(tmp_path / "a.mp4", frames, FPS), 0, 10**9, [observer]).values()
    assert watched.error is None
    return observer.result()


@pytest.mark.parametrize(("camera", "name"), [
    ({"x": 0.3}, "pan right"), ({"x": -0.3}, "pan left"), ({"y": -0.3}, "tilt up"), ({"y": 0.3}, "tilt down"),
    ({"zoom": 1.6}, "zoom in"), ({"zoom": 0.65}, "zoom out"), ({}, "static shot"),
])  # fmt: skip
def test_every_direction_has_its_name(tmp_path, camera, name):
    found = measure(tmp_path, filmed(**camera))
    assert found["camera_motion"] == name
    assert found["camera_confidence"] > 0.6


def test_a_mirrored_pan_is_the_other_pan(tmp_path):
    pan = filmed(x=0.3, seed=4)
    turned = [np.ascontiguousarray(frame[:, ::-1]) for frame in pan]
    assert measure(tmp_path, pan)["camera_motion"] == "pan right"
    assert measure(tmp_path, turned)["camera_motion"] == "pan left"


def test_an_object_that_crosses_is_no_camera(tmp_path):
    frames = filmed()
    for k, frame in enumerate(frames):
        frame[20:40, 2 * k : 2 * k + 16] = (250, 250, 20)
    assert measure(tmp_path, frames)["camera_motion"] == "static shot"


def test_a_hand_goes_to_and_fro(tmp_path):
    path = np.cumsum(np.random.default_rng(3).choice((-4, 4), (FRAMES, 2)), axis=0)
    path = np.rint(48 + 6 * np.sin(np.arange(FRAMES)[:, None] * (1.1, 1.7)) + np.clip(path, -4, 4)).astype(
        int
    )
    wide = scenery(2)
    frames = [np.ascontiguousarray(wide[y : y + 64, x : x + 64]) for y, x in path]
    assert measure(tmp_path, frames)["camera_motion"] == "handheld shot"


def test_a_photograph_under_a_moving_frame_is_ken_burns_and_a_scene_is_not(tmp_path):
    photograph = measure(tmp_path, filmed(x=0.2, zoom=1.2))
    scene = filmed(x=0.2)
    for k, frame in enumerate(scene):
        frame[10:50, 62 - 2 * k : 82 - 2 * k] = (20, 250, 250)
    assert photograph["ken_burns"] > 0.8
    assert measure(tmp_path, scene)["ken_burns"] < 0.5
    assert measure(tmp_path, filmed())["ken_burns"] == 0.0


def test_a_clip_too_short_to_tell_has_no_name(tmp_path):
    assert measure(tmp_path, filmed()[:1])["camera_motion"] is None
    there_and_back = [Move(0.1, 0.0, 0.0, True, False), Move(-0.1, 0.0, 0.0, True, False)]
    assert classify(there_and_back, 2.0)[0] == "handheld shot"


@pytest.mark.parametrize(("told", "name"), [
    (("truck right", 0.9), "truck right"), (("arc shot", 0.2), "pan right"), (None, "pan right"),
])  # fmt: skip
def test_parallax_names_a_clip_where_it_is_sure_and_points_could_be_followed(
    tmp_path, monkeypatch, told, name
):
    monkeypatch.setattr(parallax, "classify", lambda stretches, sides: told)
    monkeypatch.setattr(tracks, "CORNER", 0.0)  # this scenery is smooth
    monkeypatch.setattr(tracks, "OFF", 1e9)
    assert measure(tmp_path, filmed(x=0.3))["camera_motion"] == name
    monkeypatch.setattr(tracks, "LEAST", 1000)
    assert measure(tmp_path, filmed(x=0.3))["camera_motion"] == "pan right"
