"""Scenes: sprites stay in sight, held-out combinations stay out, names cover what can be drawn."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

from evaluation.toy_world import scene as world
from evaluation.toy_world.scene import Scene, Staging, is_held_out

NEAR = Staging(size=1.3, pace=0.4)
APART = Staging(size=1.2, pace=0.4, gap=0.08)

DRAWS = {
    "moving": world.draw_scene,
    "camera": world.draw_camera_scene,
    "bounce": world.draw_bounce_scene,
    "counted": world.draw_counted_scene,
    "still": world.draw_still_scene,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("held_out", [False, True])
def test_a_scene_is_drawn_from_the_side_that_was_asked_for(draw, held_out: bool) -> None:
    rng = np.random.default_rng(0)
    assert all(is_held_out(draw(rng, held_out=held_out)) == held_out for _ in range(100))


def test_about_the_stated_share_of_combinations_is_held_out_and_each_name_stays_in_training() -> None:
    names = (world.SHAPES, world.COLOURS, world.DIRECTIONS, world.BACKGROUNDS)
    every = list(product(*names))
    kept = [
        one
        for one in every
        if not is_held_out(Scene(shape=one[0], colour=one[1], direction=one[2], background=one[3]))
    ]
    assert 1 - len(kept) / len(every) == pytest.approx(world.HELD_OUT_PERCENT / 100, abs=0.04)
    assert len(every) - len(kept) >= 64  # as many prompts as the evaluation asks, all different
    for place, choices in enumerate(names):
        counts = Counter(one[place] for one in kept)
        assert min(counts[name] for name in choices) > 0.7 * len(kept) / len(choices)


@pytest.mark.parametrize(
    "draw", [world.draw_scene, world.draw_counted_scene, world.draw_bounce_scene, world.draw_still_scene]
)
@pytest.mark.parametrize("staging", [world.USUAL, NEAR], ids=["usual", "near"])
def test_a_sprite_before_a_static_camera_stays_wholly_in_sight(draw, staging: Staging) -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        scene = draw(rng, staging=staging)
        places = np.array([scene.centres(time) for time in np.linspace(0, 1, 33)])
        room = world.REACH * scene.radius
        assert places.min() >= room - 1e-9
        assert places.max() <= 1 - room + 1e-9


def test_a_moving_sprite_travels_a_third_of_the_frame_in_its_direction_alone() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        scene = world.draw_scene(rng)
        way = np.subtract(scene.centre(1.0), scene.centre(0.0))
        step = np.array(world.DIRECTIONS[scene.direction])
        assert way @ step == pytest.approx(scene.travel)
        assert scene.travel >= 1 / 3
        assert way @ step[::-1] == pytest.approx(0.0)


@pytest.mark.parametrize("staging", [world.USUAL, NEAR, APART], ids=["usual", "near", "apart"])
def test_sprites_that_are_counted_are_a_gap_apart(staging: Staging) -> None:
    rng = np.random.default_rng(5)
    drawn = [world.draw_counted_scene(rng, staging=staging) for _ in range(200)]
    assert {scene.count for scene in drawn} == set(world.COUNTS)
    for scene in drawn:
        assert scene.count == 1 + len(scene.others)
        places = np.array(scene.centres(0.0))
        apart = [np.linalg.norm(a - b) for a, b in combinations(places, 2)]
        assert min(apart, default=1.0) >= 2 * world.REACH * scene.radius + staging.gap


def test_staging_scales_radii_and_ways_and_nothing_else() -> None:
    for name in ("moving", "bounce"):
        usual, near = (DRAWS[name](np.random.default_rng(6), staging=one) for one in (world.USUAL, NEAR))
        assert near.combination == usual.combination
        assert near.radius == pytest.approx(1.3 * usual.radius)
        assert near.travel == pytest.approx(0.4 * usual.travel)
        assert near.speed == usual.speed


@pytest.mark.parametrize(
    ("staging", "fits"),
    [
        (world.USUAL, True),
        (NEAR, True),
        (APART, True),
        (Staging(gap=0.08), False),  # three so far apart do not fit on ways that long
        (Staging(size=1.4, pace=0.4), False),  # three that are counted have no room
        (Staging(pace=1.3), False),  # the longest way does not fit
        (Staging(size=2.0, pace=0.1), False),
    ],
)
def test_what_has_no_room_in_the_frame_is_known_before_it_is_drawn(staging: Staging, fits: bool) -> None:
    assert staging.has_room() == fits


def test_a_bouncing_sprite_is_lowest_at_its_touches() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        scene = world.draw_bounce_scene(rng)
        assert scene.bounce is not None
        assert len(scene.bounce.touches()) >= 2
        lowest = max(scene.centre(time)[1] for time in np.linspace(0, 1, 500))
        for touch in scene.bounce.touches():
            assert scene.centre(touch)[1] == pytest.approx(scene.start[1])
            assert scene.centre(touch)[1] >= lowest - 1e-9


def test_mirroring_twice_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    for draw in DRAWS.values():
        scene, twice = (one := draw(rng)), one.mirrored().mirrored()
        assert twice.combination == scene.combination
        assert twice.camera == scene.camera
        assert twice.start == pytest.approx(scene.start)
        assert np.allclose(twice.others, scene.others)
