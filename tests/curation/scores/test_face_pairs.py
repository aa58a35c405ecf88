"""Cross-paired references: one person, another clip, another view."""

import numpy as np
import pytest

from console import UserError
from curation.scores import face_pairs
from curation.scores.face_pairs import CrossPairing, cross_pairs


def people(count: int, views_each: int, seed: int = 0):
    """Embeddings of `count` people, each in `views_each` clips that turn further and further."""
    rng = np.random.default_rng(seed)
    faces = np.repeat(rng.normal(size=(count, 64)), views_each, axis=0)
    faces += rng.normal(size=faces.shape) * 0.2
    turns = np.tile(np.linspace(0, 0.6, views_each), count)
    embeddings = faces / np.linalg.norm(faces, axis=1, keepdims=True)
    return (
        embeddings,
        np.stack([turns, np.full_like(turns, 0.5)], axis=1),
        [f"c{k}" for k in range(len(turns))],
    )


def test_pairs_are_of_one_person_seen_from_another_side():
    embeddings, views, clips = people(5, 4)
    found = list(cross_pairs(embeddings, views, clips, CrossPairing(apart=0.3, most=9)))
    expected = {
        (a, b) for a in range(20) for b in range(20) if a // 4 == b // 4 and abs(a % 4 - b % 4) * 0.2 > 0.29
    }
    assert {(pair.clip, pair.reference) for pair in found} == expected
    assert all(pair.cosine > 0.5 and pair.view >= 0.3 for pair in found)


def test_a_pair_holds_both_ways_and_blocks_do_not_matter(monkeypatch):
    embeddings, views, clips = people(3, 5)
    whole = list(cross_pairs(embeddings, views, clips, CrossPairing(apart=0.1, most=9)))
    assert {(b, a) for a, b, *_ in whole} == {(a, b) for a, b, *_ in whole}
    monkeypatch.setattr(face_pairs, "BLOCK", 4)
    parts = list(cross_pairs(embeddings, views, clips, CrossPairing(apart=0.1, most=9)))
    assert [pair[:2] for pair in parts] == [pair[:2] for pair in whole]


def test_the_surest_references_are_taken():
    embeddings, views, clips = people(1, 6)
    every = [
        pair
        for pair in cross_pairs(embeddings, views, clips, CrossPairing(apart=0.0, most=9))
        if pair.clip == 2
    ]
    few = [
        pair
        for pair in cross_pairs(embeddings, views, clips, CrossPairing(apart=0.0, most=2))
        if pair.clip == 2
    ]
    assert few == every[:2]
    assert [pair.cosine for pair in every] == sorted((pair.cosine for pair in every), reverse=True)


def test_copies_of_a_clip_and_clips_without_a_face_are_no_pair():
    embeddings, views, clips = people(1, 3)
    assert not list(cross_pairs(embeddings, views, ["one"] * 3, CrossPairing(apart=0.0, most=9)))
    embeddings[1] = np.nan
    views[2] = np.nan
    assert not list(cross_pairs(embeddings, views, clips, CrossPairing(apart=0.0, most=9)))


def test_wrong_requests_are_refused():
    embeddings, views, clips = people(1, 3)
    with pytest.raises(ValueError, match="2 clips"):
        list(cross_pairs(embeddings, views, clips[:2], CrossPairing()))
    for wrong in ({"same": 1.0}, {"apart": -0.1}, {"most": 0}):
        with pytest.raises(UserError, match="pairs: same must be"):
            CrossPairing(**wrong)
