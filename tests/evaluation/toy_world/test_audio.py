"""Sound: thuds begin at the touches of the ground and nowhere else."""

import numpy as np
import pytest

from evaluation.toy_world import audio
from evaluation.toy_world.audio import RATE, soundtrack


def onsets(sound: np.ndarray, quiet: float = 0.1) -> list[float]:
    """Seconds at which the sound gets loud after a time of quiet."""
    loud = np.flatnonzero(np.abs(sound) > 0.25)
    return [
        i / RATE for i in loud if np.abs(sound[max(0, i - round(quiet * RATE)) : i]).max(initial=0) <= 0.25
    ]


def test_a_thud_begins_within_five_milliseconds_of_each_touch() -> None:
    touches = [0.3, 0.9, 1.55]
    assert onsets(soundtrack("grass", 2.0, touches, "big", 0)) == pytest.approx(touches, abs=5e-3)


@pytest.mark.parametrize("background", audio.TONES)
def test_without_a_touch_there_is_only_a_soft_bed(background: str) -> None:
    sound = soundtrack(background, 1.5, [], "small", 1)
    assert sound.shape == (round(1.5 * RATE),)
    assert 0 < np.abs(sound).max() <= audio.BED + 1e-6


def test_sounds_of_big_sprites_are_lower() -> None:
    def pitch(size: str) -> float:
        spectrum = np.abs(np.fft.rfft(soundtrack("wall", 1.0, [0.2], size, 2)))
        return float(np.fft.rfftfreq(RATE, 1 / RATE)[spectrum.argmax()])

    assert pitch("big") < pitch("small")


def test_a_thud_at_the_very_end_is_cut_with_the_sound() -> None:
    assert len(soundtrack("sky", 1.0, [0.95, 1.2], "big", 3)) == RATE
