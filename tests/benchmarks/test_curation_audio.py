"""What the benchmark spoils is spoilt as it says."""

import pytest

from benchmarks.curation_audio import FINDS, KINDS, LATE, MUTED, spoilt
from curation.scores.levels import levels
from curation.sound import read_sound


def test_every_kind_of_spoilt_sound_is_what_its_name_says(tmp_path):
    found = {}
    for kind, path, seconds in spoilt(len(KINDS), 3, tmp_path):
        sound = read_sound(path, 0.0, seconds)
        found[kind] = (
            {"audio_coverage": sound.coverage, **levels(sound)} if sound else {"audio_coverage": 0.0}
        )
    assert tuple(found) == KINDS
    assert found["none"] == {"audio_coverage": 0.0}
    assert found["muted"]["silence"] == pytest.approx(MUTED, abs=0.05)
    assert found["late"]["audio_coverage"] == pytest.approx(1 - LATE / 4, abs=0.02)
    assert found["clipped"]["clipping"] > 0.01
    assert not any(finds(found["clean"]) for finds in FINDS.values())
