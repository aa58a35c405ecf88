"""Backgrounds: smooth patterns between two colours, so that a background is a short line in colour space."""

from dataclasses import dataclass

import numpy as np

from evaluation.toy_world.scene import RGB


@dataclass(frozen=True)
class Background:
    """The two ends of a background's colours; its pattern says how far a point lies from `low` to `high`."""

    low: RGB
    high: RGB


COLOURS: dict[str, Background] = {
    "wall": Background((108, 108, 110), (128, 128, 130)),
    "sky": Background((92, 162, 232), (156, 206, 246)),
    "grass": Background((136, 190, 104), (168, 214, 130)),
    "sand": Background((194, 160, 118), (222, 192, 150)),
    "night": Background((14, 16, 44), (62, 66, 112)),
}


def paint(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours [..., 3] (0 to 255, float32) of world points (x right, y down, in short sides of the frame)."""
    ends = COLOURS[name]
    share = PATTERNS[name](x, y)[..., None].astype(np.float32)
    low, high = np.asarray(ends.low, np.float32), np.asarray(ends.high, np.float32)
    return low + (high - low) * share


def _wave(value: np.ndarray, length: float) -> np.ndarray:
    return np.sin(2 * np.pi / length * value)


def _wall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.5 + 0.25 * _wave(x, 2.6) + 0.25 * _wave(y, 2.2)


def _sky(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    clouds = _wave(x + 0.12 * _wave(y, 0.9), 0.75) * _wave(y + 0.08 * _wave(x, 1.1), 0.55)
    return np.clip(0.5 + 0.25 * _wave(y, 3.0) + 0.5 * np.maximum(clouds, -0.2), 0.0, 1.0)


def _grass(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.5 + 0.32 * np.tanh(2 * _wave(x, 0.42)) + 0.18 * _wave(y, 0.60)


def _sand(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    dots = _wave(x + y, 0.50) * _wave(x - y, 0.50)
    return np.clip(0.35 + 0.65 * dots, 0.0, 1.0)


def _night(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    stars = np.maximum(_wave(x + 0.6 * y, 0.70) * _wave(y - 0.45 * x, 0.62), 0.0) ** 6
    return np.clip(0.12 + 0.10 * _wave(y, 2.4) + 0.8 * stars, 0.0, 1.0)


PATTERNS = {"wall": _wall, "sky": _sky, "grass": _grass, "sand": _sand, "night": _night}
