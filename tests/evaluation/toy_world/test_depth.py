"""Scenes with depth: a pinhole's laws, and camera paths that are what their names say."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.toy_world.depth import Board, Camera, DepthScene, Ground, render, texture
from evaluation.toy_world.depth_moves import FLAT, NAMES, draw_shot

WIDTH, HEIGHT = 192, 108
SKY = (150, 170, 190)


def board(z: float, x: float = 0.0, y: float = 0.0, half: float = 0.1) -> Board:
    return Board(x=x, y=y, z=z, half=(half * z, half * z), seed=3, grain=0.3 * z)


def middle(one: Board, camera: Camera, focal: float = 1.0) -> np.ndarray:
    """Where the board's middle is seen, about the middle of the picture in widths, and its width."""
    frame = render(DepthScene(boards=(one,), ground=None, focal=focal), [camera], WIDTH, HEIGHT)[0]
    seen = np.argwhere((np.abs(frame.astype(int) - SKY) > 6).any(axis=2))
    low, high = seen.min(axis=0), seen.max(axis=0) + 1
    centre = ((low + high) / 2 - (HEIGHT / 2, WIDTH / 2))[::-1] / WIDTH
    return np.array([*centre, (high[1] - low[1]) / WIDTH])


@pytest.mark.parametrize("z", [2.0, 5.0, 20.0])
def test_a_camera_that_goes_moves_the_picture_by_one_over_the_depth(z):
    assert middle(board(z), Camera()) == pytest.approx((0, 0, 0.2), abs=0.01)
    assert middle(board(z), Camera(x=0.3, y=-0.2)) == pytest.approx((-0.3 / z, 0.2 / z, 0.2), abs=0.01)
    assert middle(board(z), Camera(z=0.5))[2] == pytest.approx(0.2 * z / (z - 0.5), abs=0.01)


@pytest.mark.parametrize("z", [2.0, 20.0])
def test_a_camera_that_turns_or_zooms_moves_it_alike_at_any_depth(z):
    assert middle(board(z), Camera(yaw=0.2))[0] == pytest.approx(-np.tan(0.2), abs=0.01)
    assert middle(board(z), Camera(pitch=0.1))[1] == pytest.approx(np.tan(0.1), abs=0.01)
    assert middle(board(z), Camera(zoom=1.5))[2] == pytest.approx(0.3, abs=0.01)
    aside = middle(board(z, x=0.2 * z), Camera(roll=np.pi / 2), focal=0.8)
    assert aside[:2] == pytest.approx((0, -0.16), abs=0.01)


def test_what_is_nearer_hides_what_is_farther_and_the_floor_is_below():
    near, far = replace(board(3), seed=1), replace(board(6, half=0.4), seed=2)
    ground = Ground(y=1.5, seed=5, grain=2.0)
    both = render(DepthScene(boards=(near, far), ground=None, focal=1.0), [Camera()], WIDTH, HEIGHT)
    np.testing.assert_array_equal(
        both, render(DepthScene(boards=(far, near), ground=None, focal=1.0), [Camera()], WIDTH, HEIGHT)
    )
    alone = render(DepthScene(boards=(near,), ground=None, focal=1.0), [Camera()], WIDTH, HEIGHT)
    box = np.s_[0, 48:60, 90:102]
    np.testing.assert_array_equal(both[box], alone[box])
    floor = render(DepthScene(boards=(), ground=ground, focal=1.0), [Camera()], WIDTH, HEIGHT)[0]
    assert (floor[: HEIGHT // 2] == SKY).all()
    assert (floor[HEIGHT // 2 + 12 :] != SKY).any(axis=2).mean() > 0.95


def test_a_texture_repeats_without_a_seam():
    picture = texture(4).astype(int)
    within = np.abs(np.diff(picture, axis=1)).mean()
    assert np.abs(picture[:, 0] - picture[:, -1]).mean() < 2 * within
    assert np.abs(picture[0] - picture[-1]).mean() < 2 * within
    assert picture.std() > 15


@pytest.mark.parametrize("name", NAMES)
def test_shots_repeat_with_their_seed_and_the_camera_does_what_its_name_says(name):
    for seed in range(4):
        one, other = (draw_shot(name, np.random.default_rng(seed), 9, 8) for _ in range(2))
        assert one == other
        first, last = np.array(one.cameras[0]), np.array(one.cameras[-1])
        way = dict(zip(Camera._fields, last - first, strict=True))
        largest = {"zoom": "zoom", "push": "z", "pull": "z", "pan": "yaw", "truck": "x", "tilt": "pitch",
                   "pedestal": "y"}.get(name.split()[0])  # fmt: skip
        if largest:
            sign = 1 if name.split()[1] in ("in", "right", "up") else -1
            assert way[largest] * sign * (-1 if largest == "y" else 1) > 0.1
        if name == "static shot":
            assert len(set(one.cameras)) == 1
        if one.scene.ground:
            assert all(camera.y < one.scene.ground.y for camera in one.cameras)
        wall = draw_shot(name, np.random.default_rng(seed), 9, 8, flat=True).scene
        assert (len(wall.boards) == 1) == (name in FLAT or name not in ("arc shot", "tracking shot"))


@pytest.mark.parametrize("name", ["arc shot", "tracking shot"])
def test_the_subject_stays_where_it_is_in_the_picture(name):
    for seed in range(4):
        shot = draw_shot(name, np.random.default_rng(seed), 9, 8)
        subject, places = shot.scene.boards[-1], []
        for k, camera in enumerate(shot.cameras):
            x = subject.x + subject.way[0] * (k / 8 - 0.5) - camera.x
            z = subject.z - camera.z
            places.append(np.arctan2(x, z) - camera.yaw)
        assert np.ptp(places) < 0.06  # what a hand adds
        assert max(np.abs(np.diff([camera.x for camera in shot.cameras]))) > 0.05
