"""How often clips show what their prompts named, by pixels alone, and how often chance would."""

from collections.abc import Sequence

import numpy as np

from evaluation.toy_world.captions import caption
from evaluation.toy_world.measure import Measured, measure
from evaluation.toy_world.render import render
from evaluation.toy_world.scene import BACKGROUNDS, COLOURS, DIRECTIONS, SHAPES, Scene, draw_scene

__all__ = ["Measured", "accuracy", "expect", "held_out_prompts", "measure", "own_accuracy"]

CHOICES = {
    "colour": tuple(COLOURS),
    "direction": tuple(DIRECTIONS),
    "background": BACKGROUNDS,
    "shape": SHAPES,
}
"""What is scored; prompts draw each evenly, so that chance is one over the number of choices."""


def expect(scene: Scene) -> dict[str, str]:
    """What `measure` should find in a clip of `scene`."""
    return {name: getattr(scene, name) for name in (*CHOICES, "camera")}


def held_out_prompts(n: int, seed: int) -> list[tuple[str, dict[str, str]]]:
    """`n` prompts of combinations that no training clip shows, each with what a right clip must show."""
    rng = np.random.default_rng((seed, 1))
    scenes = [draw_scene(rng, held_out=True) for _ in range(n)]
    return [(caption(scene, rng), expect(scene)) for scene in scenes]


def accuracy(videos: Sequence[np.ndarray], expected: Sequence[dict[str, str]]) -> dict:
    """Share of `videos` (uint8 [t h w 3]) that show what was expected, by name, and chance beside it."""
    if len(videos) != len(expected) or not len(videos):
        raise ValueError(
            f"accuracy needs one expectation for each video; got {len(videos)} and {len(expected)}."
        )
    found = [measure(video) for video in videos]
    result: dict = {
        name: float(
            np.mean([getattr(one, name) == truth[name] for one, truth in zip(found, expected, strict=True)])
        )
        for name in CHOICES
    }
    result["chance"] = {name: 1 / len(choices) for name, choices in CHOICES.items()}
    result["videos"] = len(videos)
    return result


def own_accuracy(
    n: int, seed: int, size: tuple[int, int] = (64, 64), frames: int = 16, fps: float = 8
) -> dict:
    """The score of `n` true clips of held-out scenes: what is missing to 1 is the score's own error."""
    rng = np.random.default_rng((seed, 2))
    scenes = [draw_scene(rng, held_out=True) for _ in range(n)]
    videos = [render(scene, size[1], size[0], frames, fps) for scene in scenes]
    return accuracy(videos, [expect(scene) for scene in scenes])
