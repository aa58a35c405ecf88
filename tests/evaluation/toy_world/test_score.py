"""The score: right on true clips, also blurred, noisy and compressed; blind to nothing and to noise."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from evaluation.toy_world import scene as world
from evaluation.toy_world.render import render
from evaluation.toy_world.score import (
    CHOICES,
    accuracy,
    asked,
    expect,
    held_out_prompts,
    measure,
    own_accuracy,
)

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}


def clips(draw, number: int, seed: int) -> list[tuple[world.Scene, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(scene, render(scene, 64, 64, 16, 8)) for scene in (draw(rng) for _ in range(number))]


def degraded(clip: np.ndarray, seed: int, side: int = 32) -> np.ndarray:
    """As a model might make it: the detail of `side` pixels, noise of 5 % of full scale."""
    small = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in clip]
    blurred = np.stack([cv2.resize(frame, (64, 64)) for frame in small])
    noise = np.random.default_rng(seed).normal(0, 0.05 * 255, clip.shape)
    return np.rint(blurred + noise).clip(0, 255).astype(np.uint8)


def wrong(pairs: list[tuple[world.Scene, np.ndarray]]) -> list:
    """All that is not as expected."""
    found = [(scene, measure(clip)) for scene, clip in pairs]
    return [
        (name, getattr(seen, name), scene)
        for scene, seen in found
        for name, truth in expect(scene).items()
        if truth is not None and getattr(seen, name) != truth  # None: the caption says no number
    ]


def test_true_clips_are_measured_without_error() -> None:
    assert wrong(clips(world.draw_scene, 24, 0)) == []


@pytest.mark.parametrize(
    "draw",
    [world.draw_camera_scene, world.draw_counted_scene, world.draw_bounce_scene, world.draw_still_scene],
)
def test_clips_of_other_kinds_are_measured_without_error(draw) -> None:
    assert wrong(clips(draw, 10, 1)) == []


def test_blurred_and_noisy_clips_are_measured_without_error() -> None:
    pairs = clips(world.draw_scene, 24, 2)
    assert wrong([(scene, degraded(clip, seed)) for seed, (scene, clip) in enumerate(pairs)]) == []


def test_a_shape_is_told_however_blurred_and_a_blurred_ball_stays_a_ball() -> None:
    pairs = clips(world.draw_scene, 60, 12)
    seen = [(scene.shape, measure(degraded(clip, 0, side=20)).shape) for scene, clip in pairs]
    assert sum(a == b for a, b in seen) >= 0.95 * len(seen)
    assert all(b == "ball" for a, b in seen if a == "ball")


@pytest.mark.parametrize("size", [(128, 96), (240, 320)])
def test_the_score_takes_any_resolution(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    scenes = [world.draw_scene(rng) for _ in range(8)]
    assert wrong([(scene, render(scene, size[0], size[1], 12, 8)) for scene in scenes]) == []


@pytest.mark.parametrize("draw", [world.draw_scene, world.draw_camera_scene, world.draw_counted_scene])
def test_a_slow_world_of_large_sprites_is_measured_by_its_pace(draw) -> None:
    near = world.Staging(size=1.3, pace=0.4)
    rng = np.random.default_rng(13)
    scenes = [draw(rng, staging=near) for _ in range(16)]
    videos = [render(scene, 64, 64, 16, 8) for scene in scenes]
    result = accuracy(videos, [expect(scene) for scene in scenes], near.pace)
    assert all(result[name] == 1 for name in result["chance"])
    if draw is not world.draw_counted_scene:  # at the usual pace its short ways are none
        usual = accuracy(videos, [expect(scene) for scene in scenes])
        assert usual["camera" if draw is world.draw_camera_scene else "direction"] < 0.7


def test_a_clip_played_backwards_moves_the_other_way() -> None:
    for scene, clip in clips(world.draw_scene, 10, 4):
        assert measure(clip[::-1]).direction == OPPOSITE[scene.direction]


def test_a_mirrored_clip_is_the_mirrored_scene() -> None:
    assert (
        wrong([(scene.mirrored(), clip[:, :, ::-1]) for scene, clip in clips(world.draw_scene, 10, 5)]) == []
    )


def test_the_track_is_where_the_truth_says() -> None:
    for scene, clip in clips(world.draw_scene, 5, 6):
        track = measure(clip).track
        truth = [scene.centre(time) for time in np.linspace(0, 1, 16)]
        assert track == pytest.approx(np.array(truth), abs=0.03)


def test_sprites_are_counted() -> None:
    (_, one), (_, other) = clips(
        lambda rng: world.Scene(shape="ball", colour="red", background="wall", direction="still"), 2, 7
    )
    both = one.copy()
    both[:, :, :32], both[:, :, 32:] = one[:, :, 16:48], other[:, :, 16:48]
    assert measure(one).count == 1
    assert measure(both).count == 2


def test_nothing_is_seen_in_an_empty_background_in_one_colour_or_in_noise() -> None:
    rng = np.random.default_rng(8)
    empty = render(
        world.Scene(shape="ball", colour="red", background="sky", direction="still", radius=1e-6),
        64,
        64,
        8,
        8,
    )
    black = np.zeros((8, 64, 64, 3), np.uint8)
    noise = rng.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    assert measure(empty)[:4] == (None, None, "sky", None)
    assert measure(black).background is None
    assert measure(noise)[:5] == (None,) * 5


def test_what_was_not_asked_for_scores_as_chance() -> None:
    pairs = clips(world.draw_scene, 50, 9)
    strangers = [expect(world.draw_scene(np.random.default_rng(1000 + seed))) for seed in range(50)]
    result = accuracy([clip for _, clip in pairs], strangers)
    for name, chance in result["chance"].items():
        assert chance == 1 / len(CHOICES[name])
        assert result[name] == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 50))


def test_own_accuracy_is_that_of_true_clips() -> None:
    result = own_accuracy(12, 0)
    assert [result[name] for name in CHOICES] == [1.0] * len(CHOICES)


def test_held_out_prompts_are_held_out_varied_and_the_same_for_a_seed() -> None:
    prompts = held_out_prompts(64, 0)
    assert prompts == held_out_prompts(64, 0) != held_out_prompts(64, 1)
    assert len({text for text, _ in prompts}) > 55
    for _, truth in prompts:
        names = {name: truth[name] for name in ("shape", "colour", "direction", "background")}
        assert world.is_held_out(world.Scene(**names))
        assert truth["direction"] in world.DIRECTIONS
        assert truth["camera"] == "static"


def test_prompts_of_a_moving_camera_are_scored_on_it_and_not_on_the_direction() -> None:
    prompts = held_out_prompts(40, 0, camera=0.25)
    filmed = [truth for _, truth in prompts if truth["camera"] != "static"]
    assert len(filmed) == 10
    assert all("camera" in text for text, truth in prompts if truth in filmed)
    for _, truth in prompts:
        missing = {"direction"} if truth in filmed else {"camera"}
        assert set(CHOICES) - set(asked(truth)) == missing | {"count"}
    pairs = clips(world.draw_camera_scene, 6, 10)
    truths = [expect(scene) for scene, _ in pairs]
    result = accuracy([clip for _, clip in pairs], truths)
    assert result["camera"] == 1.0
    assert "direction" not in result
    still = [np.repeat(clip[:1], len(clip), axis=0) for _, clip in pairs]
    assert accuracy(still, truths)["camera"] == 0.0


def test_what_cannot_be_measured_is_named() -> None:
    with pytest.raises(ValueError, match=r"float64 \[4, 64, 64, 3\]"):
        measure(np.zeros((4, 64, 64, 3)))
    with pytest.raises(ValueError, match="got 0 and 0"):
        accuracy([], [])


def test_prompts_that_name_a_number_are_scored_on_the_count() -> None:
    prompts = held_out_prompts(60, 0, camera=0.2, counted=0.5)
    counted = [(text, truth) for text, truth in prompts if truth["count"] is not None]
    assert len(counted) == 30
    assert all(truth["camera"] == "static" and truth["direction"] != "still" for _, truth in counted)
    assert {truth["count"] for _, truth in counted} == set(world.COUNTS)
    assert sum(truth["camera"] != "static" for _, truth in prompts) == 12
    assert all("count" in asked(truth) for _, truth in counted)
    assert held_out_prompts(60, 0, camera=0.2) != prompts


def test_a_sprite_too_many_or_too_few_is_seen() -> None:
    pairs = clips(world.draw_counted_scene, 30, 11)
    truths = [expect(scene) for scene, _ in pairs]
    assert accuracy([clip for _, clip in pairs], truths)["count"] == 1.0
    several = [(scene, clip) for scene, clip in pairs if scene.others]
    fewer = [render(replace(scene, others=scene.others[1:]), 64, 64, 16, 8) for scene, _ in several]
    found = accuracy(fewer, [expect(scene) for scene, _ in several])
    assert found["count"] == 0.0
    assert found["direction"] == found["shape"] == 1.0
