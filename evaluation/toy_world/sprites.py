"""Shapes as signed distances: exact coverage of each pixel, so that edges are smooth at any resolution."""

from functools import cache

import numpy as np

SHADE = 0.86  # brightness of a texture's dark parts


@cache
def outline(shape: str) -> np.ndarray | None:
    """Corners [n, 2] of a polygon of circumradius 1 about its centroid; None for the ball, which has none."""
    if shape == "ball":
        return None
    corners, inner = {"square": (4, None), "triangle": (3, None), "star": (5, 0.46)}[shape]
    if inner is None:
        angles = np.arange(corners) / corners * 2 * np.pi
        radii = np.ones(corners)
    else:
        angles = np.arange(2 * corners) / (2 * corners) * 2 * np.pi
        radii = np.where(np.arange(2 * corners) % 2, inner, 1.0)
    angles = angles + (np.pi / 4 if shape == "square" else 0.0)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


CIRCUMRADIUS = {"ball": 0.92, "square": 1.12, "triangle": 1.12, "star": 1.12}
"""In radii of the scene: equal radii look about equally big, and every outline stays within scene.REACH."""


def distance(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance of points (u right, v down) in radii from the edge of `shape`: negative inside."""
    reach = CIRCUMRADIUS[shape]
    corners = outline(shape)
    if corners is None:
        return np.hypot(u, v) - reach
    return _polygon_distance(corners * reach, u, v)


def _polygon_distance(corners: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    nearest = np.full(u.shape, np.inf, dtype=u.dtype)
    inside = np.zeros(u.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey, px, py = bx - ax, by - ay, u - ax, v - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        nearest = np.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2)
        crosses = (ay > v) != (by > v)
        if ay != by:
            inside ^= crosses & (u < ax + (v - ay) * ex / ey)
    return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)


def texture(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Brightness of points in radii: 1 for the plain colour, down to SHADE in a texture's dark parts."""
    if name == "plain":
        return np.ones_like(u)
    if name == "striped":
        dark = _soft(np.cos(np.pi * 2 / 0.8 * (u + v)) - 0.25)
    else:
        dark = _soft(np.cos(np.pi * 2 / 0.75 * u) + np.cos(np.pi * 2 / 0.75 * v) - 0.6)
    return 1 - (1 - SHADE) * dark


def _soft(value: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + 2.0 * value, 0.0, 1.0)
