"""From pixels to names: segment the sprite by colour, follow it, compare its outline. Needs no truth."""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from evaluation.toy_world import backgrounds
from evaluation.toy_world.camera_motion import STATIC, CameraMotion, camera_motion
from evaluation.toy_world.outline import Cover, name_shape
from evaluation.toy_world.scene import COLOURS, FEATURED, STILL

SIDE = 64  # short side at which clips are measured, pixels
BLUR = 0.7  # pixels: evens out noise and compression before colours are compared
SPRITE_DISTANCE = 14.0  # Lab units from the background's colours at which a pixel may be sprite
FAR = (
    30.0  # Lab units: distances are cut here when backgrounds are compared, so that the sprite counts little
)
STRANGE = (
    14.0  # Lab units: mean distance from the nearest background; true clips stay below 4, noisy ones below 8
)
MIN_AREA, MAX_AREA = 0.008, 0.40  # of the frame: smaller is noise, larger is no sprite
SIMILAR = 0.4  # of the largest sprite's area: what is smaller is no second sprite
MIN_TRAVEL = 0.20  # sides of the frame at the usual pace: less is called still
SHAPE_FRAMES = 8  # as many are enough to tell a shape
MIN_PRESENCE = 0.6  # share of frames in which a sprite must be found


class Measured(NamedTuple):
    """What a clip shows; None where there is nothing to name."""

    colour: str | None
    direction: str | None
    background: str | None
    shape: str | None
    camera: str | None
    count: int
    """Sprites of similar size in a frame (median over frames)."""
    radius: float | None
    """Of the disc of the sprite's area, in short sides of the frame (median over frames)."""
    travel: tuple[float, float] | None
    """Way from the first to the last frame relative to the world, fractions of width and height."""
    track: np.ndarray | None
    """Centre (x, y) of the sprite in each frame, fractions of the sides, [t 2]; NaN where none was found.
    Of several sprites, the middle of their centres in frames that show them all."""


NOTHING = Measured(None, None, None, None, None, 0, None, None, None)


class Sprite(NamedTuple):
    """The largest thing in one frame that is not background, and those of similar size."""

    centre: tuple[float, float]  # pixels
    mask: np.ndarray  # bool [h w]
    count: int
    middle: tuple[float, float]  # of the centres of all of similar size
    all: np.ndarray  # bool [h w], the pixels of all of similar size


def measure(video: np.ndarray, pace: float = 1.0) -> Measured:
    """Name what `video` (uint8 [t h w 3]) of a world of this pace shows: its ways are called long by it."""
    lab = _lab(video)
    background = _background(lab)
    if background is None:
        return NOTHING
    distance = _segment_distance(lab, background)
    sprites_found = [_sprite(frame) for frame in distance]
    present = [(index, found) for index, found in enumerate(sprites_found) if found is not None]
    masks = np.stack([np.zeros(distance.shape[1:], bool) if s is None else s.all for s in sprites_found])
    featured = background in FEATURED  # a plain wall shows no move
    motion = camera_motion(lab, masks, pace) if featured else STATIC
    if len(present) < MIN_PRESENCE * len(lab):
        return NOTHING._replace(background=background, camera=motion.name)
    count = int(np.median([found.count for _, found in present]))
    track = _track(sprites_found, count, lab.shape[1:3])
    travel = _travel(track, motion)
    return Measured(
        colour=_colour(lab, present),
        direction=_direction(travel, MIN_TRAVEL * pace),
        background=background,
        shape=name_shape([Cover(distance[index], found.mask) for index, found in _some(present)]),
        camera=motion.name,
        count=count,
        radius=float(
            np.median([np.sqrt(found.mask.sum() / np.pi) for _, found in present]) / min(lab.shape[1:3])
        ),
        travel=travel,
        track=track,
    )


def _lab(video: np.ndarray) -> np.ndarray:
    """Frames at the measuring size, slightly blurred, float32 Lab [t h w 3]."""
    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[-1] != 3 or not len(video):
        raise ValueError(f"a clip to measure is uint8 [t h w 3]; got {video.dtype} {list(video.shape)}.")
    height, width = video.shape[1:3]
    scale = SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    frames = []
    for frame in video:
        frame = cv2.resize(frame, size, interpolation=way) if scale != 1 else frame
        frame = cv2.GaussianBlur(frame.astype(np.float32) / 255, (0, 0), BLUR)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_RGB2LAB))
    return np.stack(frames)


def _to_lab(colours: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.asarray(colours, np.float32)[None] / 255, cv2.COLOR_RGB2LAB)[0]


@cache
def _background_ends(name: str) -> tuple[np.ndarray, np.ndarray]:
    ends = backgrounds.COLOURS[name]
    low, high = _to_lab(np.array([ends.low, ends.high]))
    return low, high


def _segment_distance(lab: np.ndarray, background: str) -> np.ndarray:
    """Lab distance of each pixel from the line between the two colours of `background`, [t h w]."""
    low, high = _background_ends(background)
    line = high - low
    along = np.clip((lab - low) @ line / (line @ line), 0.0, 1.0)
    return np.linalg.norm(lab - low - along[..., None] * line, axis=-1)


def _background(lab: np.ndarray) -> str | None:
    """The background whose colours are nearest, or None where none is near: noise, or no toy world at all."""
    cost = {name: np.minimum(_segment_distance(lab, name), FAR).mean() for name in backgrounds.COLOURS}
    best = min(cost, key=cost.__getitem__)
    return best if cost[best] < STRANGE else None


def _sprite(distance: np.ndarray) -> Sprite | None:
    """The largest connected part of one frame that is far from the background."""
    strong = np.percentile(distance, 98)
    if strong < SPRITE_DISTANCE:
        return None
    mask = (distance > max(SPRITE_DISTANCE * 0.7, 0.45 * strong)).astype(np.uint8)
    number, labels, facts, centres = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if number < 2:
        return None
    areas = facts[1:, cv2.CC_STAT_AREA]
    largest = int(np.argmax(areas)) + 1
    if not MIN_AREA <= areas[largest - 1] / distance.size <= MAX_AREA:
        return None
    similar = 1 + np.flatnonzero(areas > SIMILAR * areas[largest - 1])
    return Sprite(
        centre=tuple(centres[largest]),
        mask=labels == largest,
        count=len(similar),
        middle=tuple(centres[similar].mean(axis=0)),
        all=np.isin(labels, similar),
    )


def _colour(lab: np.ndarray, present: list[tuple[int, Sprite]]) -> str:
    """The palette's colour nearest to the middle of the sprite's inner pixels over all frames."""
    kernel = np.ones((3, 3), np.uint8)
    pixels = []
    for index, found in present:
        inner = cv2.erode(found.mask.astype(np.uint8), kernel).astype(bool)
        pixels.append(lab[index][inner if inner.any() else found.mask])
    middle = np.median(np.concatenate(pixels), axis=0)
    names = list(COLOURS)
    palette = _to_lab(np.array([COLOURS[name] for name in names]))
    return names[int(np.argmin(np.linalg.norm(palette - middle, axis=1)))]


def _track(found: list[Sprite | None], count: int, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    places = []
    for one in found:
        if one is None or (count > 1 and one.count != count):
            places.append((np.nan, np.nan))
            continue
        x, y = one.middle if count > 1 else one.centre
        places.append(((x + 0.5) / width, (y + 0.5) / height))
    return np.array(places)


def _travel(track: np.ndarray, motion: CameraMotion) -> tuple[float, float]:
    """Way of the sprite over the clip: a straight line through its track, less the way of the background."""
    seen = ~np.isnan(track[:, 0])
    times = np.arange(len(track))[seen]
    if len(times) < 2:
        return 0.0, 0.0
    slope = np.polyfit(times, track[seen], 1)[0] * (len(track) - 1)
    if motion.name.startswith(("pan", "tilt")):
        slope = slope - np.asarray(motion.shift)
    return float(slope[0]), float(slope[1])


def _direction(travel: tuple[float, float], least: float) -> str:
    x, y = travel
    if max(abs(x), abs(y)) < least:
        return STILL
    if abs(x) >= abs(y):
        return "left" if x < 0 else "right"
    return "up" if y < 0 else "down"


def _some(present: list[tuple[int, Sprite]]) -> list[tuple[int, Sprite]]:
    return present[:: max(1, len(present) // SHAPE_FRAMES)]
