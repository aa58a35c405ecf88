"""Loudness by the reference tones of EBU Tech 3341, silence and clipping by construction."""

import numpy as np
import pytest

from curation.scores.levels import clipping, levels, loudness, silence
from curation.sound import Sound
from tests.curation.sounds import RATE, tone


def sound(samples: np.ndarray, rate: int = RATE) -> Sound:
    return Sound(samples, rate, {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)], 1.0)


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_a_stereo_sine_of_1_khz_is_as_loud_as_its_peak(level):
    samples = np.repeat(tone(20.0, 1000.0, 10 ** (level / 20)), 2, axis=0)
    assert loudness(sound(samples)) == pytest.approx(level, abs=0.1)  # Tech 3341, cases 1 and 2


def test_quiet_parts_are_gated_out():
    lengths = {-23: 60.0, -72: 10.0}
    loud, quiet = (np.repeat(tone(s, 1000.0, 10 ** (level / 20)), 2, axis=0) for level, s in lengths.items())
    assert loudness(sound(np.concatenate([quiet, loud, quiet], 1))) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 2.0])
def test_silence_and_next_to_nothing_have_the_loudness_of_the_gate(seconds):
    found = levels(sound(np.zeros((2, round(seconds * RATE)), np.float32)))
    assert found == {"loudness": -70.0, "silence": 1.0, "clipping": 0.0}


def test_silence_is_the_part_in_which_no_channel_sounds():
    left = np.concatenate([tone(1.0), np.zeros((1, 3 * RATE), np.float32)], axis=1)
    right = np.concatenate([np.zeros((1, 2 * RATE), np.float32), tone(1.0), tone(1.0) / 500], axis=1)
    assert silence(np.concatenate([left, right]), RATE) == pytest.approx(0.5, abs=0.01)


def test_only_what_rests_at_full_scale_is_clipped():
    loud = tone(1.0, 100.0, 4.0).clip(-1, 1)
    true = float((np.abs(loud) >= 0.999).mean())
    assert clipping(loud) == pytest.approx(true, rel=0.02)
    assert true > 0.5
    assert clipping(tone(1.0, 12_000.0, 1.0)) == 0.0  # its peaks touch full scale, one sample each
    assert clipping(0.9 * loud) == 0.0
