"""The camera's motion from the background: shift and magnification that best explain each pair of frames."""

from typing import NamedTuple

import cv2
import numpy as np

BLUR = 1.5  # pixels: makes the brightness smooth enough for its slope to predict a step
MARGIN = 5  # pixels about the sprite that are left out
MIN_SHIFT = 0.12  # sides of the frame over the clip at the usual pace: a panning one goes scene.PAN
MIN_ZOOM = 0.26  # natural logarithm of the magnification over the clip at the usual pace
ROUNDS = 3  # steps of Gauss-Newton
FLAT = 0.05  # mean squared slope (Lab units per pixel) under which a background shows no motion


class CameraMotion(NamedTuple):
    """How the picture of the background changes over the clip."""

    name: str
    shift: tuple[float, float]
    """Way of the background from the first to the last frame, fractions of width and height."""
    zoom: float
    """Natural logarithm of its magnification."""


STATIC = CameraMotion("static", (0.0, 0.0), 0.0)


def camera_motion(lab: np.ndarray, masks: np.ndarray, pace: float = 1.0) -> CameraMotion:
    """The camera's motion in Lab frames [t h w 3], where `masks` (bool [t h w]) tell the sprite's pixels.

    It is static below a share of the way that a camera goes in a world of this pace.
    """
    light = np.stack([cv2.GaussianBlur(frame[..., 0], (0, 0), BLUR) for frame in lab])
    kernel = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    free = np.stack([cv2.dilate(mask.astype(np.uint8), kernel) == 0 for mask in masks])
    steps = [_step(light[i], light[i + 1], free[i] & free[i + 1]) for i in range(len(light) - 1)]
    if not steps:
        return STATIC
    height, width = light.shape[1:]
    x, y, zoom = np.median(steps, axis=0) * len(steps)
    name = _name(x / width / pace, y / height / pace, zoom / pace)
    return CameraMotion(name, (float(x / width), float(y / height)), float(zoom))


def _name(x: float, y: float, zoom: float) -> str:
    """The camera's move, of ways at the usual pace: the picture goes the other way."""
    strength = {"zoom": abs(zoom) / MIN_ZOOM, "pan": abs(x) / MIN_SHIFT, "tilt": abs(y) / MIN_SHIFT}
    kind = max(strength, key=strength.__getitem__)
    if strength[kind] < 1:
        return "static"
    if kind == "zoom":
        return "zoom in" if zoom > 0 else "zoom out"
    if kind == "pan":
        return "pan left" if x > 0 else "pan right"
    return "tilt up" if y > 0 else "tilt down"


def _step(before: np.ndarray, after: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Shift (x, y in pixels) and log magnification about the middle between two frames, by Gauss-Newton."""
    height, width = before.shape
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    slope_x, slope_y = np.gradient(before, axis=1), np.gradient(before, axis=0)
    found = np.zeros(3)
    columns = np.stack([slope_x[free], slope_y[free], (slope_x * x + slope_y * y)[free]], axis=1)
    if len(columns) < 50 or (columns[:, :2] ** 2).mean() < FLAT:
        return found
    # a little damping keeps a shift along stripes, which nothing shows, at zero
    normal = columns.T @ columns + 1e-3 * np.diag((columns**2).sum(axis=0).clip(1e-6))
    for _ in range(ROUNDS):
        scale = np.exp(found[2])
        matrix = np.array([
            [scale, 0, found[0] + (1 - scale) * (width - 1) / 2],
            [0, scale, found[1] + (1 - scale) * (height - 1) / 2],
        ])  # fmt: skip
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(after, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        found = found + np.linalg.solve(normal, columns.T @ (before - moved)[free])
    return found
