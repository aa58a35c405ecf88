"""What a clip of the toy world shows: the vocabulary, the truth of one shot, and how it is drawn by chance.

Lengths are fractions of the frame (its short side for radii); times are fractions of the shot. So one scene
can be rendered at any resolution, length and frame rate, and a speed is relative to the length of the clip.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (222, 32, 38),
    "green": (0, 138, 52),
    "blue": (32, 66, 226),
    "yellow": (250, 222, 20),
    "purple": (146, 36, 178),
    "orange": (250, 128, 8),
    "white": (250, 250, 250),
}
SHAPES = ("ball", "square", "triangle", "star")
TEXTURES = ("plain", "striped", "dotted")
PLAIN_SHARE = 0.75  # of sprites without a texture
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
STILL = "still"
SIZES = {"small": (0.140, 0.150), "big": (0.180, 0.190)}  # radius, short sides of the frame
REACH = 1.12  # no sprite goes further from its centre than this many radii
SPEEDS = {
    "slowly": (0.34, 0.40),
    "quickly": (0.50, 0.55),
}  # way from the first to the last frame, sides of the frame
BACKGROUNDS = ("wall", "sky", "grass", "sand", "night")
FEATURED = ("sky", "grass", "sand", "night")  # backgrounds that show a moving camera; the wall is plain
CAMERAS = ("static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out")

PAN = 0.36  # way of a panning or tilting camera, sides of the frame
ZOOM = 1.3  # a zoom goes from 1 / ZOOM to ZOOM or back
BOUNCE_HEIGHT = (0.30, 0.45)  # of the sprite's centre above its lowest place, sides of the frame
COUNTS = (1, 2, 3)
COUNTED_RADIUS = (0.130, 0.138)  # short sides of the frame: three of them have room side by side
PLAY = 1.08  # of the distance between them, for placements to be found by chance
TRIES = 4096  # placements of counted sprites that are drawn at once
HELD_OUT_PERCENT = 15  # of all (shape, colour, direction, background)


@dataclass(frozen=True, kw_only=True)
class Staging:
    """How large things are and how far they go: what makes a world easier or harder to learn."""

    size: float = 1.0
    """Factor of every sprite's radius."""
    pace: float = 1.0
    """Factor of every way, a sprite's and the camera's (of a zoom, of the logarithm of its magnification)."""
    gap: float = 0.02
    """Least distance between the discs of sprites that are counted, sides of the frame."""

    def has_room(self) -> bool:
        """Whether the largest sprite, and three together, keep within the frame on the longest way."""
        radius, way = REACH * self.size * SIZES["big"][1], self.pace * SPEEDS["quickly"][1]
        zoomed = radius * ZOOM**self.pace
        ways = (way, self.pace * PAN, self.pace * BOUNCE_HEIGHT[1])
        return 2 * max(radius + max(ways) / 2, zoomed) <= 1 and self._three_fit(way)

    def _three_fit(self, way: float) -> bool:
        """Whether three can start at the corners of a triangle, with some play."""
        room = REACH * self.size * COUNTED_RADIUS[1]
        across, along = 1 - 2 * room, 1 - 2 * room - way
        return min(across, float(np.hypot(across / 2, along))) >= PLAY * (2 * room + self.gap) and along > 0


USUAL = Staging()


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """A sprite that falls and springs back; its way is a parabola between two touches of the ground."""

    first: float
    """First touch, fraction of the shot."""
    period: float
    """From one touch to the next, fraction of the shot."""
    height: float
    """Highest place above the ground, sides of the frame."""

    def touches(self) -> tuple[float, ...]:
        """All touches of the ground, fractions of the shot."""
        return tuple(float(touch) for touch in np.arange(self.first, 1.0, self.period))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The whole truth about one shot."""

    shape: str
    colour: str
    background: str
    direction: str
    """left, right, up, down or still: how the sprite moves in the world."""
    texture: str = "plain"
    size: str = "small"
    radius: float = 0.15
    speed: str | None = None
    """slowly or quickly; None for a sprite that does not move."""
    start: tuple[float, float] = (0.5, 0.5)
    """Centre of the sprite in the first frame (halfway of a camera's move), fractions of width and height."""
    travel: float = 0.0
    """Way along `direction` from the first to the last frame, sides of the frame."""
    camera: str = "static"
    pace: float = 1.0
    """Factor of the camera's way."""
    phase: tuple[float, float] = (0.0, 0.0)
    """Where in the background's pattern the camera stands; a static camera always stands at one place."""
    bounce: Bounce | None = None
    count: int | None = None
    """How many sprites the caption says there are; None for one of which it says no number."""
    others: tuple[tuple[float, float], ...] = ()
    """Starts of further sprites, which look and move as the first does."""

    @property
    def combination(self) -> tuple[str, str, str, str]:
        """What must be new in a held-out prompt."""
        return self.shape, self.colour, self.direction, self.background

    def centres(self, time: float) -> list[tuple[float, float]]:
        """Centres of all sprites at `time` (fraction of the shot), fractions of width and height."""
        return [self._moved(start, time) for start in (self.start, *self.others)]

    def centre(self, time: float) -> tuple[float, float]:
        """Centre of the first sprite."""
        return self._moved(self.start, time)

    def _moved(self, start: tuple[float, float], time: float) -> tuple[float, float]:
        step = DIRECTIONS.get(self.direction, (0, 0))
        x = start[0] + step[0] * self.travel * time
        y = start[1] + step[1] * self.travel * time
        if self.bounce is not None:
            swing = ((time - self.bounce.first) / self.bounce.period) % 1.0
            y -= 4 * swing * (1 - swing) * self.bounce.height
        return x, y

    def mirrored(self) -> "Scene":
        """The scene that the mirror image shows."""
        swap = {"left": "right", "right": "left", "pan left": "pan right", "pan right": "pan left"}
        return replace(
            self,
            direction=swap.get(self.direction, self.direction),
            camera=swap.get(self.camera, self.camera),
            start=(1 - self.start[0], self.start[1]),
            others=tuple((1 - x, y) for x, y in self.others),
        )


def is_held_out(scene: Scene) -> bool:
    """Whether the scene's combination is kept for tests: a function of its names, equal on every machine."""
    digest = hashlib.sha256("/".join(scene.combination).encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT


def draw_scene(rng: np.random.Generator, *, held_out: bool = False, staging: Staging = USUAL) -> Scene:
    """A sprite that moves in one direction before a static camera."""
    return _draw(rng, _moving, held_out, staging)


def draw_camera_scene(rng: np.random.Generator, *, held_out: bool = False, staging: Staging = USUAL) -> Scene:
    """A sprite at rest in the world while the camera moves."""
    return _draw(rng, _filmed, held_out, staging)


def draw_counted_scene(
    rng: np.random.Generator, *, held_out: bool = False, staging: Staging = USUAL
) -> Scene:
    """One to three sprites of one look that move side by side in one direction before a static camera."""
    return _draw(rng, _counted, held_out, staging)


def draw_bounce_scene(rng: np.random.Generator, *, held_out: bool = False, staging: Staging = USUAL) -> Scene:
    """A sprite that bounces on the spot or while it moves left or right."""
    return _draw(rng, _bouncing, held_out, staging)


def draw_still_scene(rng: np.random.Generator, *, held_out: bool = False, staging: Staging = USUAL) -> Scene:
    """A sprite at rest before a static camera: a still image, or a video in which nothing happens."""
    return _draw(rng, _resting, held_out, staging)


def _draw(rng: np.random.Generator, draw, held_out: bool, staging: Staging) -> Scene:
    while True:
        scene = draw(rng, staging)
        if is_held_out(scene) == held_out:
            return scene


def _look(rng: np.random.Generator, staging: Staging, backgrounds: tuple[str, ...] = BACKGROUNDS) -> Scene:
    size = _pick(rng, tuple(SIZES))
    return Scene(
        shape=_pick(rng, SHAPES),
        colour=_pick(rng, tuple(COLOURS)),
        background=_pick(rng, backgrounds),
        direction=STILL,
        texture="plain" if rng.uniform() < PLAIN_SHARE else _pick(rng, TEXTURES[1:]),
        size=size,
        radius=staging.size * float(rng.uniform(*SIZES[size])),
    )


def _moving(rng: np.random.Generator, staging: Staging) -> Scene:
    look = _look(rng, staging)
    direction, speed = _pick(rng, tuple(DIRECTIONS)), _pick(rng, tuple(SPEEDS))
    travel = staging.pace * float(rng.uniform(*SPEEDS[speed]))
    start = [_between(rng, REACH * look.radius, 1 - REACH * look.radius) for _ in range(2)]
    axis = 0 if DIRECTIONS[direction][0] else 1
    first = _between(rng, REACH * look.radius, 1 - REACH * look.radius - travel)
    start[axis] = first if sum(DIRECTIONS[direction]) > 0 else 1 - first
    return replace(look, direction=direction, speed=speed, travel=travel, start=tuple(start))


def _counted(rng: np.random.Generator, staging: Staging) -> Scene:
    count = COUNTS[int(rng.integers(len(COUNTS)))]
    radius = staging.size * _between(rng, *COUNTED_RADIUS)
    look = replace(_look(rng, staging), size="small", radius=radius)
    direction, speed = _pick(rng, tuple(DIRECTIONS)), _pick(rng, tuple(SPEEDS))
    travel = staging.pace * float(rng.uniform(*SPEEDS[speed]))
    starts = [
        (1 - along if sum(DIRECTIONS[direction]) < 0 else along, across)
        for along, across in _places(rng, count, REACH * look.radius, travel, staging.gap)
    ]
    if not DIRECTIONS[direction][0]:
        starts = [(across, along) for along, across in starts]
    return replace(
        look,
        direction=direction,
        speed=speed,
        travel=travel,
        start=starts[0],
        others=tuple(starts[1:]),
        count=count,
    )


def _places(
    rng: np.random.Generator, count: int, room: float, travel: float, gap: float
) -> list[tuple[float, float]]:
    """Centres (along and across the way) of `count` discs of radius `room`, `gap` apart, drawn evenly."""
    first, second = np.triu_indices(count, 1)
    while True:
        places = room + rng.uniform(size=(TRIES, count, 2)) * (1 - 2 * room - np.array([travel, 0.0]))
        apart = np.linalg.norm(places[:, first] - places[:, second], axis=-1)
        fits = np.flatnonzero((apart >= 2 * room + gap).all(axis=-1))
        if len(fits):
            return [(float(along), float(across)) for along, across in places[fits[0]]]


def _filmed(rng: np.random.Generator, staging: Staging) -> Scene:
    look = _look(rng, staging, FEATURED)
    camera = _pick(rng, CAMERAS[1:])
    if camera.startswith("zoom"):
        zoom = ZOOM**staging.pace
        reach = (0.5 - REACH * look.radius * zoom) / zoom
    else:
        reach = 0.5 - REACH * look.radius - staging.pace * PAN / 2
    start = tuple(0.5 + _between(rng, -reach, reach) for _ in range(2))
    phase = (float(rng.uniform()), float(rng.uniform()))
    return replace(look, camera=camera, pace=staging.pace, start=start, phase=phase)


def _bouncing(rng: np.random.Generator, staging: Staging) -> Scene:
    look = _look(rng, staging)
    direction = _pick(rng, ("left", "right", STILL))
    height = staging.pace * float(rng.uniform(*BOUNCE_HEIGHT))
    floor = 1 - REACH * look.radius
    first, period = float(rng.uniform(0.1, 0.3)), float(rng.uniform(0.28, 0.40))
    bounce = Bounce(first=first, period=period, height=height)
    if direction == STILL:
        x = _between(rng, REACH * look.radius, 1 - REACH * look.radius)
        return replace(look, start=(x, floor), bounce=bounce)
    speed = _pick(rng, tuple(SPEEDS))
    travel = staging.pace * float(rng.uniform(*SPEEDS[speed]))
    first = _between(rng, REACH * look.radius, 1 - REACH * look.radius - travel)
    x = first if direction == "right" else 1 - first
    return replace(look, direction=direction, speed=speed, travel=travel, start=(x, floor), bounce=bounce)


def _resting(rng: np.random.Generator, staging: Staging) -> Scene:
    look = _look(rng, staging)
    return replace(
        look, start=tuple(_between(rng, REACH * look.radius, 1 - REACH * look.radius) for _ in range(2))
    )


def _pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))
