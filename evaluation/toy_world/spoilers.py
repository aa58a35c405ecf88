"""Files that curation must find: each is spoilt in one way, known by its label."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from evaluation.toy_world.film import Film, join, single
from evaluation.toy_world.render import View, render_views, shot_seconds, shot_times, view
from evaluation.toy_world.scene import Scene
from evaluation.toy_world.settings import Format

CUTS = 3  # shots in the time of one clip
SLIDES = 4
BAR = 0.16  # of the frame: each black bar of a letterbox or pillarbox
SHAKE = 0.05  # short sides of the frame: how far the camera is thrown from one frame to the next
KEPT = (0.45, 0.75)  # share of the bytes of a truncated file
LATE = (0.35, 1.65)  # the time of each frame of a file with variable frame rate, in ordinary frames
POOR_CRF = 32  # quality of a re-encoded copy
CROP = 0.86  # side of a cropped copy
TEXTS = ("BREAKING NEWS", "SUBSCRIBE NOW", "FREE SAMPLE", "LIVE REPLAY", "SALE 50% OFF", "PART 2 OF 3")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where spoilers find scenes: fresh ones, and the scene of another file of the same world to copy."""

    format: Format
    moving: Callable[[np.random.Generator], Scene]
    resting: Callable[[np.random.Generator], Scene]
    copied: Callable[[np.random.Generator], tuple[str, Scene, Film]]
    """Name, scene and film of a clip of this world."""
    allowed: Callable[[Scene], bool]
    """Whether a scene may be shown in this world."""


def hard_cuts(source: Source, rng: np.random.Generator) -> Film:
    """Several scenes in the time of one clip."""
    return join([single(source.moving(rng), part, rng) for part in _parts(source.format, CUTS)])


def fade(source: Source, rng: np.random.Generator) -> Film:
    """A scene goes to black and another comes from it."""
    film = join([single(source.moving(rng), part, rng) for part in _parts(source.format, 2)])
    middle = film.shots[1]["start_frame"]
    instants = np.arange(source.format.frames) + 0.5
    light = np.clip(np.abs(instants - middle) / (middle * 0.75), 0.0, 1.0)[:, None, None, None]
    return replace(film, pixels=lambda: np.rint(film.pixels() * light).astype(np.uint8))


def letterbox(source: Source, rng: np.random.Generator) -> Film:
    """Black bars above and below."""
    bar = _bar(source.format.height)
    return _boxed(source, rng, replace(source.format, height=source.format.height - 2 * bar), (bar, 0))


def pillarbox(source: Source, rng: np.random.Generator) -> Film:
    """Black bars at the left and right."""
    bar = _bar(source.format.width)
    return _boxed(source, rng, replace(source.format, width=source.format.width - 2 * bar), (0, bar))


def text(source: Source, rng: np.random.Generator) -> Film:
    """Words burnt into the picture."""
    film = single(source.moving(rng), source.format, rng)
    words = TEXTS[int(rng.integers(len(TEXTS)))]
    place = float(rng.uniform(0.05, 0.95))

    def pixels() -> np.ndarray:
        ink, cover = _lettering(words, place, source.format)
        return np.rint(film.pixels() * (1 - cover) + ink * cover).astype(np.uint8)

    return replace(film, pixels=pixels, notes={"text": words})


def static(source: Source, rng: np.random.Generator) -> Film:
    """Nothing happens."""
    return single(source.resting(rng), source.format, rng)


def slideshow(source: Source, rng: np.random.Generator) -> Film:
    """Still pictures one after another."""
    return join([single(source.resting(rng), part, rng) for part in _parts(source.format, SLIDES)])


def shake(source: Source, rng: np.random.Generator) -> Film:
    """The camera is thrown about from frame to frame."""
    scene = source.moving(rng)
    film = single(scene, source.format, rng)
    throws = rng.choice((-1.0, 1.0), (source.format.frames, 2)) * rng.uniform(
        SHAKE / 2, SHAKE, (source.format.frames, 2)
    )
    views = [View(float(x), float(y), 1.0) for x, y in throws]
    times = shot_times(source.format.frames)
    pixels = lambda: render_views(scene, views, times, source.format.width, source.format.height)  # noqa: E731
    return replace(film, pixels=pixels, notes={"shake": SHAKE})


def duplicate_reencoded(source: Source, rng: np.random.Generator) -> Film:
    """Another clip of this world once more, encoded poorly."""
    name, _, film = source.copied(rng)
    return replace(film, crf=POOR_CRF, notes={"source": name})


def duplicate_mirrored(source: Source, rng: np.random.Generator) -> Film:
    """The mirror image of another clip of this world."""
    name, scene, film = source.copied(rng)
    while not source.allowed(scene.mirrored()):
        name, scene, film = source.copied(rng)
    truth = single(scene.mirrored(), source.format, rng)
    pixels = lambda: np.ascontiguousarray(film.pixels()[:, :, ::-1])  # noqa: E731
    return replace(truth, pixels=pixels, sound=film.sound, notes={"source": name})


def duplicate_cropped(source: Source, rng: np.random.Generator) -> Film:
    """A part of another clip of this world, enlarged."""
    name, _, film = source.copied(rng)
    height, width = round(source.format.height * CROP), round(source.format.width * CROP)
    top, left = (
        int(rng.integers(1 + room)) for room in (source.format.height - height, source.format.width - width)
    )

    def pixels() -> np.ndarray:
        part = film.pixels()[:, top : top + height, left : left + width]
        size = (source.format.width, source.format.height)
        return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in part])

    return replace(film, pixels=pixels, notes={"source": name})


def variable_frame_rate(source: Source, rng: np.random.Generator) -> Film:
    """Frames of unequal length; each shows its own instant, so that the motion itself is even."""
    scene = source.moving(rng)
    film = single(scene, source.format, rng)
    lengths = rng.uniform(*LATE, source.format.frames - 1)
    seconds = shot_seconds(source.format.frames, source.format.fps)
    instants = np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    views = [view(scene, float(time)) for time in instants]
    pixels = lambda: render_views(scene, views, list(instants), source.format.width, source.format.height)  # noqa: E731
    return replace(film, pixels=pixels, stamps=tuple(float(time * seconds) for time in instants))


def truncated(source: Source, rng: np.random.Generator) -> Film:
    """A file whose end is missing, as after a broken download."""
    film = single(source.moving(rng), source.format, rng)
    return replace(film, cut=float(rng.uniform(*KEPT)))


SPOILERS: dict[str, Callable[[Source, np.random.Generator], Film]] = {
    "hard_cuts": hard_cuts,
    "fade": fade,
    "letterbox": letterbox,
    "pillarbox": pillarbox,
    "text": text,
    "static": static,
    "slideshow": slideshow,
    "shake": shake,
    "duplicate_reencoded": duplicate_reencoded,
    "duplicate_mirrored": duplicate_mirrored,
    "duplicate_cropped": duplicate_cropped,
    "variable_frame_rate": variable_frame_rate,
    "truncated": truncated,
}


def _parts(shape: Format, number: int) -> list[Format]:
    """`shape` divided along time into `number` parts of nearly equal length."""
    edges = [round(shape.frames * index / number) for index in range(number + 1)]
    return [replace(shape, frames=end - start) for start, end in pairwise(edges)]


def _bar(side: int) -> int:
    """Width of a bar: even, as the colours of the picture within need."""
    return max(2, 2 * round(side * BAR / 2))


def _boxed(source: Source, rng: np.random.Generator, inner: Format, bars: tuple[int, int]) -> Film:
    film = single(source.moving(rng), inner, rng)
    pad = ((0, 0), (bars[0], bars[0]), (bars[1], bars[1]), (0, 0))
    notes = {"bars": {"rows": bars[0], "columns": bars[1]}}
    return replace(film, format=source.format, pixels=lambda: np.pad(film.pixels(), pad), notes=notes)


def _lettering(words: str, place: float, shape: Format) -> tuple[np.ndarray, np.ndarray]:
    """Letters, white with a black edge, at `place` (0 top, 1 bottom): colours [h w 3], cover [h w 1]."""
    scale = max(1, 512 // min(shape.width, shape.height))  # drawn large, then reduced: smooth letters
    width, height = shape.width * scale, shape.height * scale
    font, lines = cv2.FONT_HERSHEY_DUPLEX, words.split(" ", 1)
    widest = max(cv2.getTextSize(line, font, 1.0, 2)[0][0] for line in lines)
    size = 0.88 * width / widest
    step = round(size * 34)
    top = round(step + place * max(height - step * (len(lines) + 0.5), 0))
    ink = np.zeros((height, width), np.uint8)
    for index, line in enumerate(lines):
        left = (width - cv2.getTextSize(line, font, size, 1)[0][0]) // 2
        cv2.putText(
            ink, line, (left, top + index * step), font, size, 255, max(1, round(size * 3)), cv2.LINE_AA
        )
    edge = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(2 * size)) + 1,) * 2)
    cover = cv2.dilate(ink, edge)
    small = [
        cv2.resize(one, (shape.width, shape.height), interpolation=cv2.INTER_AREA) for one in (ink, cover)
    ]
    light, share = small[0].astype(np.float32), small[1].astype(np.float32) / 255
    colour = np.where(share > 0, light / np.maximum(share, 1e-3), 0.0).clip(0, 255)
    return np.repeat(colour[..., None], 3, axis=2), share[..., None]
