"""The spectrogram that YAMNet was trained on: logarithm of the magnitude in 64 bands, 100 frames a second."""

from functools import cache

import numpy as np
from jaxtyping import Float

from curation.sound import RATE

WINDOW, HOP, BINS = 400, 160, 512  # samples of a frame and between frames; length of the transform
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # bands, and the hertz where the first begins and the last ends
FLOOR = 0.001  # added before the logarithm


def log_mel(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, "frames bands"]:
    """Of mono sound at 16 kHz with at least one frame."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * hann, BINS))
    return np.log(magnitude @ filters() + FLOOR).astype(np.float32)


@cache
def filters() -> Float[np.ndarray, "bins bands"]:
    """Triangles, evenly spaced on HTK's mel scale, each as high as 1."""
    mels = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    hertz = np.linspace(0, RATE / 2, BINS // 2 + 1)
    at = _mel(hertz)[:, None]
    rise = (at - mels[:-2]) / (mels[1:-1] - mels[:-2])
    fall = (mels[2:] - at) / (mels[2:] - mels[1:-1])
    return np.maximum(0, np.minimum(rise, fall))


def _mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)
