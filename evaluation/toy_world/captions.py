"""Captions from the truth in varied wording. Colour, shape, direction and background are always named."""

import numpy as np

from evaluation.toy_world.scene import STILL, Scene

SHAPE_WORDS = {
    "ball": ("ball", "circle"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
}
NUMBERS = {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three",)}
PLURALS = {"box": "boxes", "goes": "go"}  # of nouns and verbs that do not just take or lose an s
SIZE_WORDS = {"small": ("small", "little"), "big": ("big", "large")}
PLACES = {
    "wall": ("in front of a plain grey wall", "before a grey wall"),
    "sky": ("in a clear sky", "across the cloudy sky"),
    "grass": ("over green grass", "across a grassy lawn"),
    "sand": ("over brown sand", "across a sandy beach"),
    "night": ("in the dark night", "across the night sky"),
}
RESTS = {
    "wall": "in front of a plain grey wall",
    "sky": "in a clear sky",
    "grass": "on green grass",
    "sand": "on brown sand",
    "night": "in the dark night",
}
MOVES = {
    "left": ("moves left", "moves to the left", "slides left", "travels to the left", "goes left"),
    "right": ("moves right", "moves to the right", "slides right", "travels to the right", "goes right"),
    "up": ("moves up", "moves upwards", "rises up", "travels up", "goes up"),
    "down": ("moves down", "moves downwards", "sinks down", "travels down", "goes down"),
}
BOUNCES = {
    "left": ("bounces to the left", "hops left"),
    "right": ("bounces to the right", "hops right"),
    STILL: ("bounces up and down on the spot", "bounces on the spot"),
}
CAMERAS = {
    "pan left": ("the camera pans left", "the camera turns to the left"),
    "pan right": ("the camera pans right", "the camera turns to the right"),
    "tilt up": ("the camera tilts up", "the camera tilts upwards"),
    "tilt down": ("the camera tilts down", "the camera tilts downwards"),
    "zoom in": ("the camera zooms in", "the camera slowly zooms in"),
    "zoom out": ("the camera zooms out", "the camera slowly zooms out"),
}


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """One sentence about `scene`, without a full stop; `rng` chooses words and order."""
    thing = _thing(scene, rng)
    if scene.bounce is None and scene.direction == STILL:
        sentence = f"{thing} {_one(rng, ('stays still', 'rests'))} {RESTS[scene.background]}"
    else:
        sentence = _action(scene, thing, rng)
    if scene.camera != "static":
        sentence += f"{_one(rng, (' while ', ', '))}{_one(rng, CAMERAS[scene.camera])}"
    return sentence


def _action(scene: Scene, thing: str, rng: np.random.Generator) -> str:
    move = _one(rng, MOVES[scene.direction] if scene.bounce is None else BOUNCES[scene.direction])
    if scene.others:
        verb, _, rest = move.partition(" ")
        move = f"{PLURALS.get(verb, verb.removesuffix('s'))} {rest}"
    place = _one(rng, PLACES[scene.background])
    if scene.speed is not None and rng.uniform() < 0.5:
        move = f"{move} {scene.speed}"
    if rng.uniform() < 0.2:
        return f"{place}, {thing} {move}".replace("across", "over", 1)
    return f"{thing} {move} {place}"


def _thing(scene: Scene, rng: np.random.Generator) -> str:
    noun = _one(rng, SHAPE_WORDS[scene.shape])
    words = [scene.colour, PLURALS.get(noun, noun + "s") if scene.others else noun]
    if scene.texture != "plain" and rng.uniform() < 0.5:
        words.insert(0, scene.texture)
    if rng.uniform() < 0.5:
        words.insert(0, _one(rng, SIZE_WORDS[scene.size]))
    if scene.count is not None:
        return f"{_one(rng, NUMBERS[scene.count])} {' '.join(words)}"
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"


def _one(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]
