"""Scenes with depth: textured planes before a pinhole camera; one that goes differs from one that turns.

The rest of the toy world is flat: all of it moves alike under any camera. Here near things move more than far
ones when the camera changes its place (parallax), and not when it turns or zooms. Lengths are in metres, x to
the right, y down, z ahead; pixels are in widths of the frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

TEXTURE = 512  # pixels of a side of a texture, which repeats itself
FADE = 18.0  # metres in which the ground's pattern fades: it would alias
DETAIL = 2  # drawn so many times larger, then reduced
NEAREST = 0.05  # metres: what is nearer is not seen
LEVEL = 1e-3  # how far down a ray must go to meet the floor
COARSEST, FINEST = 8, 128  # cells of noise along a texture


class Camera(NamedTuple):
    """Where the camera is and looks. A positive yaw turns it right, pitch up, roll clockwise (radians)."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Board:
    """A textured rectangle or ellipse that faces the camera's first place."""

    x: float
    y: float
    z: float
    half: tuple[float, float]
    """Half its width and height."""
    seed: int
    """Of its texture."""
    grain: float
    """Metres that the texture takes."""
    round: bool = False
    way: tuple[float, float] = (0.0, 0.0)
    """Metres that it goes by itself from the first to the last frame, in x and y."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The floor under the camera."""

    y: float
    seed: int
    grain: float


@dataclass(frozen=True, kw_only=True)
class DepthScene:
    """Boards, the floor and how wide the camera sees."""

    boards: tuple[Board, ...]
    ground: Ground | None
    focal: float
    """Focal length in widths of the frame: 1 sees 53 degrees."""


def render(scene: DepthScene, cameras: Sequence[Camera], width: int, height: int) -> np.ndarray:
    """Frames uint8 [t h w 3], one for each place of the camera, evenly spread over the scene's time."""
    last = max(len(cameras) - 1, 1)
    return np.stack([_frame(scene, camera, k / last, width, height) for k, camera in enumerate(cameras)])


def _frame(scene: DepthScene, camera: Camera, time: float, width: int, height: int) -> np.ndarray:
    turn, depth = _orientation(camera), scene.focal * camera.zoom
    rays = _rays(turn, depth, width * DETAIL, height * DETAIL)
    picture = np.empty((height * DETAIL, width * DETAIL, 3), np.uint8)
    picture[:] = (150, 170, 190)
    if scene.ground is not None:
        _paint_ground(picture, rays, camera, scene.ground)
    for board in sorted(scene.boards, key=lambda board: -board.z):
        x, y = (place + way * (time - 0.5) for place, way in zip((board.x, board.y), board.way, strict=True))
        middle = np.array([x - camera.x, y - camera.y, board.z - camera.z])
        where = _covered(board, middle, turn, depth, picture.shape)
        if where is not None:
            _paint_board(picture[where], rays[where], board, middle)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _orientation(camera: Camera) -> np.ndarray:
    """The rotation [3 3] from the camera's axes to the world's."""
    pitch, roll = _turned(2, 1, camera.pitch), _turned(1, 0, camera.roll)
    return (_turned(0, 2, camera.yaw) @ pitch @ roll).astype(np.float32)


def _turned(one: int, other: int, angle: float) -> np.ndarray:
    """The rotation that turns axis `other` towards `one`."""
    matrix = np.eye(3)
    matrix[one, one] = matrix[other, other] = np.cos(angle)
    matrix[one, other], matrix[other, one] = np.sin(angle), -np.sin(angle)
    return matrix


def _rays(turn: np.ndarray, depth: float, width: int, height: int) -> np.ndarray:
    """Direction [h w 3] of what each pixel sees."""
    x, y = np.meshgrid(
        (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5,
        (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / width,
    )
    return np.stack([x, y, np.full_like(x, depth)], axis=-1) @ turn.T


def _paint_ground(picture: np.ndarray, rays: np.ndarray, camera: Camera, ground: Ground) -> None:
    rows = np.flatnonzero((rays[..., 1] > LEVEL).any(axis=1))
    if not len(rows):
        return
    below = slice(int(rows[0]), len(rays))
    down = rays[below]
    seen = down[..., 1] > LEVEL
    far = np.where(seen, (ground.y - camera.y) / np.where(seen, down[..., 1], 1), 0)
    x, z = camera.x + far * down[..., 0], camera.z + far * down[..., 2]
    colours = _looked_up(ground.seed, x / ground.grain, z / ground.grain)
    mean = texture(ground.seed).mean(axis=(0, 1))
    share = np.exp(-far * np.linalg.norm(down, axis=-1) / FADE)[..., None]
    picture[below][seen] = (mean + (colours - mean) * share)[seen].astype(np.uint8)


def _covered(
    board: Board, middle: np.ndarray, turn: np.ndarray, depth: float, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Rows and columns that may show the board whose middle is at `middle` from the camera; None for none."""
    height, width = shape[:2]
    corners = middle + np.array([(x, y, 0) for x in (-1, 1) for y in (-1, 1)]) * (*board.half, 0)
    x, y, z = (corners @ turn).T
    if min(z.max(), middle[2]) <= NEAREST:
        return None
    if z.min() <= NEAREST:
        return slice(0, height), slice(0, width)
    columns, rows = (x / z * depth + 0.5) * width, y / z * depth * width + height / 2
    top, bottom = (int(np.clip(value, 0, height)) for value in (rows.min() - 1, rows.max() + 2))
    left, right = (int(np.clip(value, 0, width)) for value in (columns.min() - 1, columns.max() + 2))
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _paint_board(picture: np.ndarray, rays: np.ndarray, board: Board, middle: np.ndarray) -> None:
    far = middle[2] / np.maximum(rays[..., 2], 1e-6)
    x, y = far * rays[..., 0] - middle[0], far * rays[..., 1] - middle[1]
    u, v = x / board.half[0], y / board.half[1]
    within = u**2 + v**2 <= 1 if board.round else np.maximum(np.abs(u), np.abs(v)) <= 1
    within &= rays[..., 2] > 1e-6
    picture[within] = _looked_up(board.seed, x / board.grain, y / board.grain)[within]


def _looked_up(seed: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours of a texture at places in its sides, repeated."""
    places = [(value * TEXTURE % TEXTURE).astype(np.float32) for value in (x, y)]
    return cv2.remap(texture(seed), places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


@lru_cache(maxsize=64)
def texture(seed: int) -> np.ndarray:
    """Coloured noise of many sizes, uint8 [TEXTURE TEXTURE 3], which repeats without a seam."""
    rng = np.random.default_rng(seed)
    total, cells, weight = np.zeros((TEXTURE, TEXTURE, 1), np.float32), COARSEST, 1.0
    while cells <= FINEST:
        noise = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode="wrap")
        edge = 2 * TEXTURE // cells
        large = cv2.resize(noise, None, fx=TEXTURE / cells, fy=TEXTURE / cells, interpolation=cv2.INTER_CUBIC)
        total[..., 0] += weight * large[edge:-edge, edge:-edge]
        cells, weight = 2 * cells, 0.75 * weight
    low, high = rng.uniform(15, 110, 3), rng.uniform(120, 245, 3)
    share = 1 / (1 + np.exp(-1.6 * total / total.std()))
    return (low + (high - low) * share).astype(np.uint8)
