"""Sound from the truth: a soft bed of noise for each background, a thud at each touch of the ground."""

from collections.abc import Sequence

import numpy as np

RATE = 48_000  # samples per second
BED = 0.02  # loudest sample of the bed, full scale 1
THUD = 0.6  # loudest sample of a thud
THUD_SECONDS = 0.18
ATTACK = 0.002  # seconds from silence to the loudest part of a thud

TONES = {"wall": 110.0, "sky": 330.0, "grass": 220.0, "sand": 165.0, "night": 440.0}  # hertz
SOFTNESS = {
    "wall": 200,
    "sky": 40,
    "grass": 20,
    "sand": 60,
    "night": 120,
}  # samples over which noise is evened
PITCHES = {"small": 210.0, "big": 130.0}  # hertz: a big sprite sounds lower


def soundtrack(background: str, seconds: float, touches: Sequence[float], size: str, seed: int) -> np.ndarray:
    """Mono sound float32 [samples] of a shot over `background`, with a thud at `touches` (seconds)."""
    samples = round(seconds * RATE)
    sound = _bed(background, samples, seed)
    for touch in touches:
        start = round(touch * RATE)
        thud = _thud(PITCHES[size])[: max(samples - start, 0)]
        sound[start : start + len(thud)] += thud
    return sound.clip(-1, 1).astype(np.float32)


def _bed(background: str, samples: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(samples + SOFTNESS[background], dtype=np.float32)
    total = np.cumsum(noise, dtype=np.float64)
    soft = total[SOFTNESS[background] :] - total[: -SOFTNESS[background]]
    tone = np.sin(2 * np.pi * TONES[background] * np.arange(samples) / RATE)
    bed = soft / max(np.abs(soft).max(), 1e-9) + 0.3 * tone
    return BED / 1.3 * bed


def _thud(pitch: float) -> np.ndarray:
    time = np.arange(round(THUD_SECONDS * RATE)) / RATE
    rise = np.minimum(time / ATTACK, 1.0)
    fall = np.exp(-time / 0.04) * np.linspace(1, 0, len(time))
    return THUD * rise * fall * np.sin(2 * np.pi * pitch * time + 0.5 * np.pi)
