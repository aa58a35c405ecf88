"""Identities: faces of known features, drawn at known poses, so that several views show one person."""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import cv2
import numpy as np

from evaluation.toy_world import backgrounds
from evaluation.toy_world.audio import soundtrack
from evaluation.toy_world.film import Caption, Film, shot_truth
from evaluation.toy_world.scene import BACKGROUNDS, COLOURS, RGB, Scene
from evaluation.toy_world.settings import Format

SKINS: dict[str, RGB] = {
    "pale": (250, 218, 192),
    "tan": (222, 172, 128),
    "brown": (158, 104, 70),
    "dark": (102, 66, 48),
}
HAIRS: dict[str, RGB] = {
    "black": (30, 26, 28),
    "brown": (104, 62, 30),
    "blond": (236, 200, 96),
    "red": (196, 74, 30),
}
EYES: dict[str, RGB] = {"blue": (50, 110, 210), "green": (40, 140, 80), "brown": (96, 56, 24)}
STYLES = ("short", "long", "curly")
EXTRAS = ("nothing", "glasses", "a beard", "a hat")
POSES = {
    "left": (-0.75, 0.0),
    "right": (0.75, 0.0),
    "up": (0.0, -0.32),
    "down": (0.0, 0.32),
}  # radians: turn, nod
HEAD = 0.27  # radius of a head, short sides of the frame
DETAIL = 4  # drawn so many times larger, then reduced
PLACES = {
    "wall": "in front of a plain grey wall",
    "sky": "in front of a clear sky",
    "grass": "in front of green grass",
    "sand": "in front of brown sand",
    "night": "in front of the dark night",
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What stays the same in every view of one person. Lengths in radii of the head."""

    skin: str
    hair: str
    style: str
    eyes: str
    shirt: str
    extra: str
    width: float
    eye_distance: float
    eye_size: float
    mouth_width: float
    nose: float


class Pose(NamedTuple):
    """How the head is held, in radians."""

    turn: float
    nod: float
    lean: float


def draw_identity(rng: np.random.Generator) -> Identity:
    """A person by chance."""

    def pick(names) -> str:
        return tuple(names)[int(rng.integers(len(names)))]

    return Identity(
        skin=pick(SKINS),
        hair=pick(HAIRS),
        style=pick(STYLES),
        eyes=pick(EYES),
        shirt=pick(COLOURS),
        extra=pick(EXTRAS),
        width=float(rng.uniform(0.74, 0.92)),
        eye_distance=float(rng.uniform(0.30, 0.42)),
        eye_size=float(rng.uniform(0.09, 0.14)),
        mouth_width=float(rng.uniform(0.20, 0.36)),
        nose=float(rng.uniform(0.12, 0.24)),
    )


def identity_view(person: Identity, shape: Format, rng: np.random.Generator) -> Film:
    """A clip in which `person` turns or nods to one side before some background."""
    direction = tuple(POSES)[int(rng.integers(len(POSES)))]
    background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
    phase = (float(rng.uniform(0, 5)), float(rng.uniform(0, 5)))
    turn, nod = POSES[direction]
    lean = float(rng.uniform(-0.2, 0.2))
    poses = [
        Pose(turn * (2 * time - 1) * 0.9, nod * (2 * time - 1) * 0.9, lean)
        for time in np.linspace(0, 1, shape.frames)
    ]
    seconds, seed = shape.frames / shape.fps, int(rng.integers(2**63))
    words = f"{describe(person)} {'turns' if turn else 'looks'} {direction} {PLACES[background]}"
    looks = Scene(
        shape="face",
        colour=person.shirt,
        background=background,
        direction=direction,
        size="big",
        radius=HEAD,
        phase=phase,
    )
    return Film(
        format=shape,
        captions=(Caption(start=0.0, end=seconds, text=words),),
        shots=(shot_truth(looks, shape),),
        pixels=lambda: np.stack([portrait(person, pose, (background, phase), shape) for pose in poses]),
        sound=lambda: soundtrack(background, seconds, [], "big", seed),
        notes={"identity": asdict(person), "poses": [[round(float(x), 4) for x in pose] for pose in poses]},
    )


def describe(person: Identity) -> str:
    """The person in words."""
    extra = "" if person.extra == "nothing" else f" and {person.extra}"
    return f"a person with {person.style} {person.hair} hair{extra} in a {person.shirt} shirt".replace(
        "a orange", "an orange"
    )


def portrait(
    person: Identity, pose: Pose, ground: tuple[str, tuple[float, float]], shape: Format
) -> np.ndarray:
    """One frame uint8 [h w 3] of `person`, head and shoulders, before a background at a phase."""
    height, width = shape.height * DETAIL, shape.width * DETAIL
    side = min(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32) / side
    canvas = np.rint(backgrounds.paint(ground[0], x + ground[1][0], y + ground[1][1])).astype(np.uint8)
    _Face(canvas, person, pose, side).draw()
    return cv2.resize(canvas, (shape.width, shape.height), interpolation=cv2.INTER_AREA)


def portrait_mask(person: Identity, pose: Pose, shape: Format) -> np.ndarray:
    """What of `portrait`'s frame shows `person`, head and shoulders: bool [h w], at least half of a pixel."""
    height, width = shape.height * DETAIL, shape.width * DETAIL
    grounds = np.zeros((height, width, 3), np.uint8), np.full((height, width, 3), 255, np.uint8)
    for canvas in grounds:
        _Face(canvas, person, pose, min(height, width)).draw()
    shows = [cv2.resize(one, (shape.width, shape.height), interpolation=cv2.INTER_AREA) for one in grounds]
    return (shows[1].astype(float) - shows[0]).mean(axis=2) <= 255 / 2


class _Face:
    """Draws one portrait. Points are in radii of the head about its centre, then posed."""

    def __init__(self, canvas: np.ndarray, person: Identity, pose: Pose, side: int) -> None:
        self.canvas, self.person, self.pose = canvas, person, pose
        self.radius = HEAD * side
        self.centre = np.array([canvas.shape[1] / 2, canvas.shape[0] / 2 - 0.02 * side])
        self.skin = np.array(SKINS[person.skin], float)
        self.hair = np.array(HAIRS[person.hair], float)

    def draw(self) -> None:
        person = self.person
        if person.style == "long":
            self._oval((0.0, 0.30), (person.width + 0.16, 1.22), self.hair, flat=True)
        self._shoulders()
        if person.style == "curly":
            for angle in np.linspace(np.pi, 2 * np.pi, 8):
                self._oval(
                    (np.cos(angle) * person.width, np.sin(angle) * 0.85), (0.30, 0.30), self.hair, flat=True
                )
        self._oval((0.0, 0.0), (person.width, 1.0), self.skin, flat=True)
        self._fringe()
        if person.extra == "a beard":
            self._oval((0.0, 0.66), (0.50, 0.34), self.hair)
        self._features()
        if person.extra == "a hat":
            self._hat()

    def _shoulders(self) -> None:
        self._oval((0.0, 0.95), (0.30, 0.45), self.skin * 0.9, flat=True)
        middle = self.centre + np.array([0.0, 1.95 * self.radius])
        self._ellipse(
            middle, (1.35 * self.radius, 0.85 * self.radius), 0.0, np.array(COLOURS[self.person.shirt], float)
        )

    def _fringe(self) -> None:
        """Hair over the forehead: the part of the head above a line that moves with the nod."""
        mask = np.zeros(self.canvas.shape[:2], np.uint8)
        angle = np.degrees(self.pose.lean)
        axes = (int(self.person.width * 1.06 * self.radius), int(1.06 * self.radius))
        middle = tuple(int(value) for value in self.centre)
        cv2.ellipse(mask, middle, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)
        open_at, size = self._place((0.0, 0.42)), 1.0 * self.radius
        low = tuple(int(value) for value in open_at)
        cv2.ellipse(
            mask, low, (int(size * self.person.width * 0.98), int(size)), angle, 0, 360, 0, -1, cv2.LINE_AA
        )
        below = self.centre[1] + 0.25 * self.radius
        mask[int(below) :] = 0
        share = mask[..., None] / 255.0
        self.canvas[:] = np.rint(self.canvas * (1 - share) + self.hair * share)

    def _features(self) -> None:
        person, ink = self.person, np.array((40, 24, 24), float)
        for sign in (-1, 1):
            eye = (sign * person.eye_distance, -0.05)
            self._oval(eye, (person.eye_size * 1.7, person.eye_size * 1.25), np.array((250, 250, 250), float))
            self._oval(eye, (person.eye_size, person.eye_size), np.array(EYES[person.eyes], float))
            self._oval(eye, (person.eye_size * 0.45, person.eye_size * 0.45), ink * 0.4)
            self._oval(
                (eye[0], -0.05 - 2.3 * person.eye_size), (person.eye_size * 1.8, 0.05), self.hair * 0.8
            )
            if person.extra == "glasses":
                self._oval(eye, (0.27, 0.23), ink, ring=True)
        self._oval((0.0, 0.22), (0.09, person.nose), self.skin * 0.82)
        self._oval((0.0, 0.58), (person.mouth_width, 0.07), np.array((186, 60, 66), float))

    def _hat(self) -> None:
        colour = np.array(COLOURS[self.person.shirt], float) * 0.85
        up = self._place((0.0, -0.62), flat=True)
        angle = np.degrees(self.pose.lean)
        self._ellipse(up, (1.15 * self.radius, 0.16 * self.radius), angle, colour * 0.8)
        top = self._place((0.0, -0.86), flat=True)
        self._ellipse(top, (0.78 * self.radius, 0.42 * self.radius), angle, colour)

    def _place(self, point: tuple[float, float], *, flat: bool = False) -> np.ndarray:
        """Pixel of a point; one on the face slides over the head's round front as the head turns and nods."""
        x, y = point
        if not flat:
            x = self.person.width * np.sin(np.arcsin(np.clip(x / self.person.width, -1, 1)) + self.pose.turn)
            y = np.sin(np.arcsin(np.clip(y, -1, 1)) + self.pose.nod)
        cos, sin = np.cos(self.pose.lean), np.sin(self.pose.lean)
        return self.centre + self.radius * np.array([cos * x - sin * y, sin * x + cos * y])

    def _oval(self, point, axes, colour: np.ndarray, *, flat: bool = False, ring: bool = False) -> None:
        """An ellipse at `point`; one on the face gets narrower towards the head's edge."""
        wide, high = axes
        if not flat:
            wide *= max(
                0.25, np.cos(np.arcsin(np.clip(point[0] / self.person.width, -1, 1)) + self.pose.turn)
            )
            high *= max(0.35, np.cos(np.arcsin(np.clip(point[1], -1, 1)) + self.pose.nod))
        size = (wide * self.radius, high * self.radius)
        thickness = max(1, round(0.055 * self.radius)) if ring else -1
        self._ellipse(self._place(point, flat=flat), size, np.degrees(self.pose.lean), colour, thickness)

    def _ellipse(self, middle, size, angle: float, colour: np.ndarray, thickness: int = -1) -> None:
        place = tuple(round(float(value)) for value in middle)
        axes = tuple(max(1, round(float(value))) for value in size)
        paint = tuple(float(value) for value in colour)
        cv2.ellipse(self.canvas, place, axes, float(angle), 0, 360, paint, thickness, cv2.LINE_AA)
