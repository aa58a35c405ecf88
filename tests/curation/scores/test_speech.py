"""Silero and DNSMOS on sound whose truth is known without a recording of a voice."""

import numpy as np
import pytest

from curation.scores.packaged import speech_models
from curation.scores.speech import LISTENED, Listener, Voices
from curation.sound import RATE

pytest.importorskip("silero_vad", reason="the extra audio is not installed")
pytest.importorskip("speechmos", reason="the extra audio is not installed")


@pytest.fixture(scope="module")
def voices():
    return Voices(speech_models()["voices"])


def test_noise_tones_and_silence_are_no_speech(voices):
    time = np.arange(4 * RATE) / RATE
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE)
    for samples in (np.zeros(4 * RATE), noise, 0.3 * np.sin(2 * np.pi * 440 * time), np.zeros(0)):
        assert voices.speech(samples.astype(np.float32)) <= 0.02


def test_blocks_do_not_change_what_is_heard(voices, monkeypatch):
    samples = 0.1 * np.random.default_rng(1).standard_normal(70_001).astype(np.float32)
    whole = voices.probabilities(samples)
    assert len(whole) == -(-70_001 // 512)
    monkeypatch.setattr("curation.scores.speech.BLOCK", 7)
    np.testing.assert_allclose(voices.probabilities(samples), whole, atol=1e-6)


def test_opinions_are_of_one_to_five_and_a_short_clip_counts_as_its_repetition():
    listener = Listener(speech_models()["listener"], 2)
    rng = np.random.default_rng(0)
    piece = (0.1 * rng.standard_normal(LISTENED // 4)).astype(np.float32)
    short, repeated = listener.opinions(piece), listener.opinions(np.tile(piece, 4))
    assert short == pytest.approx(repeated)
    assert set(short) == {"dnsmos_speech", "dnsmos_noise", "dnsmos_overall"}
    assert all(0.5 < value < 5 for value in short.values())


def test_a_long_clip_is_judged_in_parts(monkeypatch):
    starts = []

    class Spy:
        def run(self, samples):
            starts.append(int(samples[0, 0]))
            return [np.array([[1.0, 2.0, 3.0]])]

    listener = Listener(speech_models()["listener"], 3)
    monkeypatch.setattr(listener, "model", Spy())
    for length in (LISTENED, 2 * LISTENED, 9 * LISTENED):
        listener.opinions(np.arange(length, dtype=np.float32))
    assert starts == [0, 0, LISTENED, 0, 4 * LISTENED, 8 * LISTENED]
