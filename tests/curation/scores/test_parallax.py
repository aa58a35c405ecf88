"""Names of camera motions from points whose way a pinhole camera gives exactly."""

from itertools import pairwise

import numpy as np
import pytest

from curation.scores.parallax import classify, similarity, unzoomed
from curation.scores.tracks import Tracks

SIDES = (1.0, 0.5625)
STRETCHES = 4
FOCAL = 1.0


def world(seed: int = 0, flat: bool = False) -> np.ndarray:
    """150 points [n 3] all over the picture, at depths from 2 to 20 metres; lower ones are nearer."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.5, 0.5, 150), rng.uniform(-0.28, 0.28, 150)
    depth = np.full(150, 8.0) if flat else 4.0 * np.exp(rng.uniform(-0.5, 0.9, 150) - 2.5 * y)
    return np.stack([x * depth / FOCAL, y * depth / FOCAL, depth], axis=1)


def shown(points: np.ndarray, place=(0.0, 0.0, 0.0), turn=(0.0, 0.0), zoom: float = 1.0) -> np.ndarray:
    """Where a camera at `place`, turned right and up, sees the points: [n 2]."""
    x, y, z = (points - np.array(place)).T
    yaw, pitch = turn
    x, z = x * np.cos(yaw) - z * np.sin(yaw), x * np.sin(yaw) + z * np.cos(yaw)
    y, z = y * np.cos(pitch) + z * np.sin(pitch), z * np.cos(pitch) - y * np.sin(pitch)
    return FOCAL * zoom * np.stack([x / z, y / z], axis=1)


def film(points: np.ndarray, camera, own=None, noise: float = 3e-4) -> list[Tracks]:
    """Four stretches of a clip; `camera` gives the arguments of `shown` at times from -0.5 to 0.5, `own` the
    way of each point by itself over the clip."""
    rng, found = np.random.default_rng(7), []
    own = np.zeros_like(points) if own is None else own

    def at(time: float) -> np.ndarray:
        return shown(points + own * time, **camera(time)) + rng.normal(0, noise, (len(points), 2))

    for k in range(STRETCHES):
        views = [at((k + share) / STRETCHES - 0.5) for share in np.linspace(0, 1, 5)]
        steps = np.stack([np.percentile(b - a, (15, 50, 85), axis=0) for a, b in pairwise(views)])
        found.append(Tracks((views[0] + views[-1]) / 2, views[-1] - views[0], steps))
    return found


MOVES = {
    "pan right": lambda t: {"turn": (0.4 * t, 0)}, "pan left": lambda t: {"turn": (-0.4 * t, 0)},
    "tilt up": lambda t: {"turn": (0, 0.3 * t)}, "tilt down": lambda t: {"turn": (0, -0.3 * t)},
    "zoom in": lambda t: {"zoom": np.exp(0.4 * t)}, "zoom out": lambda t: {"zoom": np.exp(-0.4 * t)},
    "truck right": lambda t: {"place": (2 * t, 0, 0)}, "truck left": lambda t: {"place": (-2 * t, 0, 0)},
    "pedestal up": lambda t: {"place": (0, -1.2 * t, 0)},
    "pedestal down": lambda t: {"place": (0, 1.2 * t, 0)},
    "push in": lambda t: {"place": (0, 0, 1.2 * t)}, "pull out": lambda t: {"place": (0, 0, -1.2 * t)},
}  # fmt: skip
TURNS = ("pan right", "pan left", "tilt up", "tilt down", "zoom in", "zoom out")
FLAT = {
    "truck right": "pan right", "truck left": "pan left",
    "pedestal up": "tilt up", "pedestal down": "tilt down",
    "push in": "zoom in", "pull out": "zoom out",
}  # fmt: skip


def named(stretches: list[Tracks]) -> str | None:
    found = classify(stretches, SIDES)
    return found[0] if found else None


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("seed", range(3))
def test_every_move_through_a_deep_world_has_its_name(name, seed):
    name_found, sure = classify(film(world(seed), MOVES[name]), SIDES) or ("", 0.0)
    assert name_found == name
    assert 0.6 < sure <= 1


@pytest.mark.parametrize("name", FLAT)
def test_in_a_flat_world_it_has_the_name_of_the_turn_or_zoom_that_looks_the_same(name):
    assert named(film(world(flat=True), MOVES[name])) == FLAT[name]


def renamed(name: str, *pairs: str) -> str:
    """The name with the words of each pair swapped."""
    swap = {one: other for pair in pairs for one, other in (pair.split(), pair.split()[::-1])}
    return " ".join(swap.get(word, word) for word in name.split())


@pytest.mark.parametrize("name", MOVES)
def test_a_mirrored_move_is_the_other_one_and_a_film_backwards_too(name):
    forwards = film(world(), MOVES[name])
    mirrored = [
        Tracks(one.places * (-1, 1), one.ways * (-1, 1), one.steps[:, ::-1] * (-1, 1)) for one in forwards
    ]
    backwards = [Tracks(one.places, -one.ways, -one.steps[:, ::-1]) for one in forwards]
    assert named(mirrored) == renamed(name, "left right")
    assert named(backwards) == renamed(name, "left right", "up down", "in out", "push pull")


@pytest.mark.parametrize("name", TURNS)
def test_somebody_who_crosses_makes_no_truck_of_a_turn(name):
    points, own = world(), np.zeros((150, 3))
    own[:14, 0] = 2.5
    assert named(film(points, MOVES[name], own)) == name


def test_around_something_near_and_far_go_against_each_other():
    points, middle = world(), 6.0

    def around(time):
        angle = 0.6 * time
        return {"place": (middle * np.sin(angle), 0, middle - middle * np.cos(angle)), "turn": (-angle, 0)}

    found = classify(film(points, around), SIDES)
    assert found is not None
    assert found[0] == "arc shot"


def test_who_stays_in_the_middle_while_all_else_goes_is_followed():
    points, own = world(), np.zeros((150, 3))
    middle = (np.abs(points[:, 0] / points[:, 2]) < 0.13) & (np.abs(points[:, 1] / points[:, 2]) < 0.2)
    points[middle] *= 4.0 / points[middle][:, 2:]  # one person, four metres away
    own[middle, 0] = 2.0
    assert 0.1 < middle.mean() < 0.3
    assert named(film(points, MOVES["truck right"], own)) == "tracking shot"
    assert named(film(points, MOVES["truck right"])) == "truck right"  # who stands stays behind


def test_a_camera_that_stands_or_comes_back_has_no_move():
    crossing = np.zeros((150, 3))
    crossing[:20, 0] = 3.0
    assert named(film(world(), lambda t: {}, crossing)) is None
    assert named(film(world(), lambda t: {"turn": (0.1 * np.sin(20 * t), 0.1 * np.cos(23 * t))})) is None
    assert named([]) is None


def test_zoom_and_roll_are_taken_off_exactly():
    rng = np.random.default_rng(0)
    places = rng.uniform(-0.5, 0.5, (60, 2))
    zoom, roll, shift = 0.07, -0.04, np.array([0.02, -0.03])
    ways = shift + zoom * places + roll * places[:, ::-1] * (-1, 1)
    tracks = Tracks(places, ways, np.zeros((1, 3, 2)))
    moved, turned = similarity(tracks)
    assert moved == pytest.approx(complex(*shift), abs=1e-9)
    assert turned == pytest.approx(complex(zoom, roll), abs=1e-9)
    depth = rng.uniform(0, 0.1, 60)
    for axis in (0, 1):
        deep = ways.copy()
        deep[:, axis] += depth
        along, across = unzoomed(Tracks(places, deep, np.zeros((1, 3, 2))), axis)
        np.testing.assert_allclose(along, shift[axis] + depth, atol=1e-9)
        np.testing.assert_allclose(across, 0, atol=1e-9)


def test_a_picture_that_does_not_move_at_all_has_no_move():
    still = Tracks(
        np.random.default_rng(0).uniform(-0.5, 0.5, (60, 2)), np.zeros((60, 2)), np.zeros((4, 3, 2))
    )
    assert named([still] * 3) is None
