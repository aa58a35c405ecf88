"""Captions: the truth is in the words, and the words vary."""

import re

import numpy as np
import pytest

from evaluation.toy_world import captions
from evaluation.toy_world import scene as world
from evaluation.toy_world.captions import caption

PLACE_WORDS = {"wall": "wall", "sky": "sky", "grass": "grass", "sand": "sand", "night": "night"}


def named(text: str, choices: dict[str, tuple[str, ...]]) -> set[str]:
    """Which of `choices` have one of their words in `text`."""
    return {name for name, words in choices.items() if any(re.search(rf"\b{word}", text) for word in words)}


def place(text: str) -> str:
    """The background that `text` names; a night sky is night."""
    found = named(text, {name: (word,) for name, word in PLACE_WORDS.items()})
    (one,) = found - {"sky"} if "night" in found else found
    return one


@pytest.mark.parametrize("seed", range(3))
def test_colour_shape_direction_and_background_are_always_named_and_no_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions = {name: (rf"{name}(wards)?\b",) for name in world.DIRECTIONS}
    for _ in range(300):
        scene = world.draw_scene(rng)
        text = caption(scene, rng)
        thing = re.sub(r"(green|brown|grey) (?=grass|sand|wall)", "", text)  # colours of the place
        assert named(thing, {name: (name,) for name in world.COLOURS}) == {scene.colour}, text
        assert named(text, captions.SHAPE_WORDS) == {scene.shape}, text
        assert named(text, directions) == {scene.direction}, text
        assert place(text) == scene.background, text


def test_what_is_said_of_speed_size_and_texture_is_true() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        scene = world.draw_scene(rng)
        text = caption(scene, rng)
        assert named(text, {name: (name,) for name in world.SPEEDS}) <= {scene.speed}
        assert named(text, captions.SIZE_WORDS) <= {scene.size}
        assert named(text, {name: (name,) for name in world.TEXTURES[1:]}) <= {scene.texture}


def test_a_camera_that_moves_is_named() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        scene = world.draw_camera_scene(rng)
        kind, way = scene.camera.split()
        text = caption(scene, rng)
        assert f"camera {kind}" in text or "camera turns" in text or f"slowly {kind}" in text
        assert re.search(rf"camera .*\b{way}", text)


def test_a_number_is_named_and_the_words_agree_with_it() -> None:
    rng = np.random.default_rng(9)
    nouns = {"boxes", *(f"{word}s" for words in captions.SHAPE_WORDS.values() for word in words)}
    for _ in range(200):
        scene = world.draw_counted_scene(rng)
        text = caption(scene, rng)
        assert named(text, captions.NUMBERS) == {scene.count}, text
        assert bool(nouns & set(re.findall(r"[a-z]+", text))) == bool(scene.others), text
        plural = re.search(r"\b(move|slide|travel|go|rise|sink)\b", text)
        assert (plural is not None) == bool(scene.others), text


def test_a_bounce_is_named() -> None:
    rng = np.random.default_rng(7)
    assert all(re.search("bounces|hops", caption(world.draw_bounce_scene(rng), rng)) for _ in range(50))


def test_one_scene_is_said_in_many_ways_and_each_seed_says_one() -> None:
    scene = world.draw_scene(np.random.default_rng(8))
    said = [caption(scene, np.random.default_rng(seed)) for seed in range(60)]
    assert len(set(said)) > 20
    assert said == [caption(scene, np.random.default_rng(seed)) for seed in range(60)]
