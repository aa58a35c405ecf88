"""The benchmark of near-duplicates draws what it says and counts what is missed."""

import numpy as np
import pytest

from benchmarks import curation_content
from benchmarks.curation_content import embeddings, million, sampled_recall
from curation.scores import duplicates
from curation.scores.duplicates import Pair


def test_drawn_copies_are_near_their_source_and_others_are_not():
    plain, mirrored, source = embeddings(2000)
    made = np.flatnonzero(source >= 0)
    assert len(made) == 140
    assert (source[source[made]] == -1).all()
    near = np.maximum(
        (plain[made] * plain[source[made]]).sum(1), (mirrored[made] * plain[source[made]]).sum(1)
    )
    assert near.min() > 0.9
    others = np.random.default_rng(0).permutation(2000)
    apart = others != np.arange(2000)
    assert (plain * plain[others]).sum(1)[apart & (source[others] < 0) & (source < 0)].max() < 0.9


def test_a_search_that_misses_half_has_half_the_recall(monkeypatch):
    whole = [Pair(k, k + 1, 1.0) for k in range(10)]
    limits = []

    def search(*_):
        limits.append(duplicates.EXACT)
        return whole if duplicates.EXACT else whole[::2]

    monkeypatch.setattr(duplicates, "candidates", search)
    rows = np.zeros((20, 4), np.float32)
    before = duplicates.EXACT
    assert sampled_recall(rows, rows) == 0.5
    assert limits == [20, 0]
    assert before == duplicates.EXACT


def test_a_limit_that_is_missed_shows_in_the_exit_code(monkeypatch, capsys):
    assert million(1600) == 0
    assert "drawn copies" in capsys.readouterr().out
    monkeypatch.setattr(curation_content, "GIGABYTES", 0.001)
    assert million(1600) == 1


@pytest.mark.slow
def test_copies_of_the_toy_world_are_found(tmp_path):
    assert curation_content.copies(40, 5, tmp_path) == 0
