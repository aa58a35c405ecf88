"""Rendering: pixels follow the truth at every size, length and rate."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.toy_world import scene as world
from evaluation.toy_world.render import render, shot_times, view
from evaluation.toy_world.scene import Scene
from evaluation.toy_world.sprites import distance

RESTING = Scene(shape="ball", colour="red", background="wall", direction="still")


def centroids(clip: np.ndarray, scene: Scene) -> np.ndarray:
    """Middle (x, y) of what differs from the empty background, in each frame of a static camera's clip."""
    empty = render(replace(scene, radius=1e-6, bounce=None), clip.shape[2], clip.shape[1], 1, 8)
    weight = np.abs(clip.astype(float) - empty).sum(axis=-1)
    y, x = np.mgrid[: clip.shape[1], : clip.shape[2]] + 0.5
    total = weight.sum(axis=(1, 2))
    return np.stack(
        [(weight * x).sum((1, 2)) / total / clip.shape[2], (weight * y).sum((1, 2)) / total / clip.shape[1]],
        1,
    )


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (64, 112)])
@pytest.mark.parametrize("draw", [world.draw_scene, world.draw_bounce_scene])
def test_the_sprite_is_where_the_truth_says_in_every_frame(draw, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(8):
        scene = replace(draw(rng), texture="plain", background="wall")
        clip = render(scene, size[0], size[1], 16, 8)
        truth = np.array([scene.centre(time) for time in shot_times(16)])
        assert centroids(clip, scene) == pytest.approx(truth, abs=0.015)


def test_a_scene_looks_the_same_at_any_resolution() -> None:
    scene = world.draw_scene(np.random.default_rng(1))
    small = render(scene, 64, 64, 8, 8).astype(float)
    large = render(scene, 256, 256, 8, 8).astype(float)
    reduced = large.reshape(8, 64, 4, 64, 4, 3).mean(axis=(2, 4))
    assert np.abs(reduced - small).mean() < 1.5


def test_a_scene_shows_the_same_instants_at_any_frame_rate() -> None:
    scene = world.draw_camera_scene(np.random.default_rng(2))
    slow, fast = render(scene, 64, 64, 9, 8), render(scene, 64, 64, 17, 16)
    assert (fast[::2] == slow).all()


def test_every_sprite_of_a_scene_is_drawn() -> None:
    rng = np.random.default_rng(6)
    for scene in (world.draw_counted_scene(rng) for _ in range(10)):
        scene = replace(scene, texture="plain", background="wall", colour="red")
        clip = render(scene, 64, 64, 4, 8)
        for time, frame in zip(shot_times(4), clip, strict=True):
            for x, y in scene.centres(time):
                red, green, blue = frame[int(y * 64), int(x * 64)].astype(int)
                assert red > green + 100
                assert red > blue + 100


@pytest.mark.parametrize(
    ("camera", "step"),
    [("pan left", (1, 0)), ("pan right", (-1, 0)), ("tilt up", (0, 1)), ("tilt down", (0, -1))],
)
def test_what_the_camera_leaves_moves_the_other_way(camera: str, step: tuple[int, int]) -> None:
    clip = render(replace(RESTING, camera=camera, colour="red"), 64, 64, 8, 8)
    reddish = clip[..., 0].astype(int) - clip[..., 1] > 80
    places = np.array([np.argwhere(frame).mean(axis=0)[::-1] for frame in reddish]) / 64
    assert places[-1] - places[0] == pytest.approx(np.multiply(step, world.PAN), abs=0.02)


def test_the_pace_scales_the_way_of_a_camera_and_the_logarithm_of_its_zoom() -> None:
    def far(camera: str, pace: float) -> float:
        last = view(replace(RESTING, camera=camera, pace=pace), 1.0)
        return np.log(last.zoom) if camera == "zoom in" else last.x

    for camera in ("pan right", "zoom in"):
        assert far(camera, 0.4) == pytest.approx(0.4 * far(camera, 1.0))
        assert far(camera, 1.0) > 0.1


def test_a_zoom_enlarges_the_sprite_by_the_square_of_its_half() -> None:
    clip = render(replace(RESTING, camera="zoom in"), 128, 128, 8, 8)
    area = (clip[..., 0].astype(int) - clip[..., 1] > 80).sum(axis=(1, 2))
    assert area[-1] / area[0] == pytest.approx(world.ZOOM**4, rel=0.06)


def test_the_same_scene_gives_the_same_pixels() -> None:
    scene = world.draw_scene(np.random.default_rng(3))
    assert (render(scene, 64, 64, 16, 8) == render(scene, 64, 64, 16, 8)).all()


@pytest.mark.parametrize("shape", world.SHAPES)
def test_a_shape_reaches_no_further_than_stated_and_has_its_middle_at_zero(shape: str) -> None:
    v, u = np.mgrid[-1.5:1.5:301j, -1.5:1.5:301j]
    inside = distance(shape, u, v) < 0
    assert np.hypot(u, v)[inside].max() <= world.REACH
    assert u[inside].mean() == pytest.approx(0, abs=0.01)
    assert v[inside].mean() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("shape", world.SHAPES)
def test_a_signed_distance_grows_no_faster_than_the_way(shape: str) -> None:
    v, u = np.mgrid[-1.5:1.5:301j, -1.5:1.5:301j]
    field = distance(shape, u, v)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1)) <= 0.01 + 1e-9
