"""One file of the toy world before it is written: truth at once, pixels and sound when asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluation.toy_world.audio import soundtrack
from evaluation.toy_world.captions import caption
from evaluation.toy_world.render import render, shot_seconds
from evaluation.toy_world.scene import Scene
from evaluation.toy_world.settings import Format


@dataclass(frozen=True, kw_only=True)
class Caption:
    """What is said about a part of a film, in seconds from its start."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Film:
    """A file to be: truth, and how to make its pixels and sound."""

    format: Format
    captions: tuple[Caption, ...]
    shots: tuple[dict[str, Any], ...]
    """Rows of truth, one for each shot, as truth.jsonl holds them."""
    pixels: Callable[[], np.ndarray]
    """Makes uint8 [t h w 3]."""
    sound: Callable[[], np.ndarray] | None
    """Makes mono float32 [samples] at audio.RATE; None for a still image."""
    stamps: tuple[float, ...] | None = None
    """Seconds at which the frames are shown, where they are not evenly spaced."""
    crf: int | None = None
    """Quality of the encoding where it is not the usual one."""
    cut: float | None = None
    """Share of the file's bytes that is kept, for a truncated file."""
    notes: dict[str, Any] = field(default_factory=dict)
    """More truth about the whole file."""


def single(scene: Scene, shape: Format, rng: np.random.Generator) -> Film:
    """A film of one shot."""
    seconds = shape.frames / shape.fps
    touches = touch_seconds(scene, shape)
    seed = int(rng.integers(2**63))
    return Film(
        format=shape,
        captions=(Caption(start=0.0, end=seconds, text=caption(scene, rng)),),
        shots=(shot_truth(scene, shape),),
        pixels=lambda: render(scene, shape.width, shape.height, shape.frames, shape.fps),
        sound=lambda: soundtrack(scene.background, seconds, touches, scene.size, seed),
    )


def join(films: Sequence[Film]) -> Film:
    """One film of several, cut hard; all of one size and frame rate."""
    shots, captions, start = [], [], 0
    fps = films[0].format.fps
    for film in films:
        shots += [_moved_shot(shot, start, fps) for shot in film.shots]
        offset = start / fps
        captions += [replace(one, start=one.start + offset, end=one.end + offset) for one in film.captions]
        start += film.format.frames
    return replace(
        films[0],
        format=replace(films[0].format, frames=start),
        captions=tuple(captions),
        shots=tuple(shots),
        pixels=lambda: np.concatenate([film.pixels() for film in films]),
        sound=lambda: np.concatenate([film.sound() for film in films if film.sound is not None]),
    )


def touch_seconds(scene: Scene, shape: Format) -> list[float]:
    """The instants at which a bouncing sprite touches the ground, seconds from the start of its shot."""
    if scene.bounce is None:
        return []
    return [round(touch * shot_seconds(shape.frames, shape.fps), 6) for touch in scene.bounce.touches()]


def shot_truth(scene: Scene, shape: Format) -> dict[str, Any]:
    """The row of truth about one shot that fills a film of `shape`."""
    seconds = shot_seconds(shape.frames, shape.fps)
    return {
        "start_frame": 0,
        "end_frame": shape.frames,
        "shape": scene.shape,
        "colour": scene.colour,
        "texture": scene.texture,
        "size": scene.size,
        "radius": round(scene.radius, 6),
        "direction": scene.direction,
        "speed": scene.speed,
        "sides_per_second": round(scene.travel / seconds, 6),
        "background": scene.background,
        "camera": scene.camera,
        "start": [round(value, 6) for value in scene.start],
        "bounces": touch_seconds(scene, shape),
        "count": 1 + len(scene.others),
        "others": [[round(value, 6) for value in start] for start in scene.others],
    }


def _moved_shot(shot: dict[str, Any], frames: int, fps: float) -> dict[str, Any]:
    return {
        **shot,
        "start_frame": shot["start_frame"] + frames,
        "end_frame": shot["end_frame"] + frames,
        "bounces": [round(touch + frames / fps, 6) for touch in shot["bounces"]],
    }
