"""How often clips show what their prompts named, by pixels alone, and how often chance would."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evaluation.toy_world.captions import caption
from evaluation.toy_world.measure import Measured, measure
from evaluation.toy_world.render import render
from evaluation.toy_world.scene import (
    BACKGROUNDS,
    CAMERAS,
    COLOURS,
    COUNTS,
    DIRECTIONS,
    SHAPES,
    USUAL,
    Scene,
    Staging,
    draw_camera_scene,
    draw_counted_scene,
    draw_scene,
)

__all__ = [
    "Measured",
    "accuracy",
    "asked",
    "expect",
    "held_out_prompts",
    "held_out_scenes",
    "measure",
    "own_accuracy",
]

CHOICES = {
    "colour": tuple(COLOURS),
    "direction": tuple(DIRECTIONS),
    "background": BACKGROUNDS,
    "shape": SHAPES,
    "camera": CAMERAS[1:],
    "count": COUNTS,
}
"""What is scored; prompts draw each evenly, so that chance is one over the number of choices. A prompt is
scored on what it asks for: one of a camera's move on the camera and not on the direction, one that names a
number on the count."""


def expect(scene: Scene) -> dict[str, Any]:
    """What `measure` should find in a clip of `scene`."""
    return {name: getattr(scene, name) for name in CHOICES}


def asked(expected: dict[str, Any]) -> list[str]:
    """The names in `CHOICES` that a prompt with this expectation is scored on."""
    return [name for name, choices in CHOICES.items() if expected[name] in choices]


def held_out_scenes(
    rng: np.random.Generator, n: int, camera: float = 0.0, counted: float = 0.0, staging: Staging = USUAL
) -> list[Scene]:
    """`n` scenes whose combination no training clip shows, evenly mixed.

    In a share `camera` of them the camera moves, and a share `counted` has a number of sprites.
    """
    shares = {draw_scene: 1 - camera - counted, draw_camera_scene: camera, draw_counted_scene: counted}
    draws: list[Callable[..., Scene]] = []
    for place in range(n):  # whatever is most behind its share
        draws.append(max(shares, key=lambda draw: (place + 1) * shares[draw] - draws.count(draw)))
    return [draw(rng, held_out=True, staging=staging) for draw in draws]


def held_out_prompts(
    n: int, seed: int, camera: float = 0.0, counted: float = 0.0, staging: Staging = USUAL
) -> list[tuple[str, dict[str, Any]]]:
    """Prompts of `held_out_scenes`, each with what a right clip must show."""
    rng = np.random.default_rng((seed, 1))
    return [
        (caption(scene, rng), expect(scene)) for scene in held_out_scenes(rng, n, camera, counted, staging)
    ]


def accuracy(videos: Sequence[np.ndarray], expected: Sequence[dict[str, Any]], pace: float = 1.0) -> dict:
    """Share of `videos` (uint8 [t h w 3]) that show what was asked for, by name, and chance beside it.

    `pace` is that of the world (`Staging`): how far things go that move.
    """
    if len(videos) != len(expected) or not len(videos):
        raise ValueError(
            f"accuracy needs one expectation for each video; got {len(videos)} and {len(expected)}."
        )
    right: dict[str, list[bool]] = {name: [] for name in CHOICES}
    for video, truth in zip(videos, expected, strict=True):
        found = measure(video, pace)
        for name in asked(truth):
            right[name].append(getattr(found, name) == truth[name])
    result: dict = {name: float(np.mean(each)) for name, each in right.items() if each}
    result["chance"] = {name: 1 / len(CHOICES[name]) for name in result}
    result["videos"] = len(videos)
    return result


def own_accuracy(
    n: int,
    seed: int,
    size: tuple[int, int] = (64, 64),
    frames: int = 16,
    fps: float = 8,
    *,
    staging: Staging = USUAL,
) -> dict:
    """The score of `n` true clips of held-out scenes: what is missing to 1 is the score's own error.

    In one of three the camera moves, and one of three has a number of sprites.
    """
    rng = np.random.default_rng((seed, 2))
    scenes = held_out_scenes(rng, n, camera=1 / 3, counted=1 / 3, staging=staging)
    videos = [render(scene, size[1], size[0], frames, fps) for scene in scenes]
    return accuracy(videos, [expect(scene) for scene in scenes], staging.pace)
