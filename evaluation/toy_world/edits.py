"""Pairs of clips before and after one edit, with the instruction that names it: nothing else differs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evaluation.toy_world.captions import SHAPE_WORDS
from evaluation.toy_world.film import Film, single
from evaluation.toy_world.scene import BACKGROUNDS, COLOURS, SHAPES, TEXTURES, Scene
from evaluation.toy_world.settings import Format

CHOICES = {"colour": tuple(COLOURS), "shape": SHAPES, "background": BACKGROUNDS, "texture": TEXTURES}
GROUNDS = {
    "wall": "a plain grey wall",
    "sky": "a clear sky",
    "grass": "green grass",
    "sand": "brown sand",
    "night": "the dark night",
}


def edit_pair(
    scene: Scene, shape: Format, rng: np.random.Generator, allowed: Callable[[Scene], bool]
) -> tuple[Film, Film]:
    """Films of `scene` before and after a change of one property; both combinations are `allowed`."""
    while True:
        what = tuple(CHOICES)[int(rng.integers(len(CHOICES)))]
        value = CHOICES[what][int(rng.integers(len(CHOICES[what])))]
        edited = replace(scene, **{what: value})
        if edited != scene and allowed(edited):
            break
    notes = {"edit": what, "instruction": instruction(scene, what, value, rng)}
    seed = int(rng.integers(2**63))  # the same sound and choice of words on both sides
    before, after = (single(one, shape, np.random.default_rng(seed)) for one in (scene, edited))
    sound = before.sound if what != "background" else after.sound
    return (
        replace(before, notes={**notes, "role": "before"}),
        replace(after, sound=sound, notes={**notes, "role": "after"}),
    )


def instruction(scene: Scene, what: str, value: str, rng: np.random.Generator) -> str:
    """What to do, as a person would say it."""
    thing = SHAPE_WORDS[scene.shape][0]
    ways = {
        "colour": (f"make the {thing} {value}", f"change the colour of the {thing} to {value}"),
        "shape": (f"turn the {thing} into a {value}", f"replace the {thing} with a {value}"),
        "background": (
            f"change the background to {GROUNDS.get(value)}",
            f"put {GROUNDS.get(value)} behind the {thing}",
        ),
        "texture": (f"make the {thing} {value}", f"give the {thing} a {value} texture"),
    }[what]
    return ways[int(rng.integers(len(ways)))]
