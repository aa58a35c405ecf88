"""Concepts find the clips that are nearest to their words, people among them."""

from pathlib import Path

import numpy as np
import pytest

from console import UserError
from curation.scores.concepts import read_taxonomy, retrieve


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_each_concept_finds_its_nearest_clips_and_people_are_those_of_human_concepts():
    rng = np.random.default_rng(0)
    texts = np.eye(3, 8)
    shown = rng.integers(3, size=300)
    clips = unit(texts[shown] + 0.15 * rng.normal(size=(300, 8)))
    human = np.array([True, False, True])
    found = retrieve(clips, texts, human, 300, 0.6)
    assert (found.concept == shown).all()
    assert (found.human == human[shown]).all()
    few = retrieve(clips, texts, human, 10, 0.6)
    for text in range(3):
        best = np.argsort(-(clips @ texts[text]))[:10]
        assert set(np.flatnonzero(few.concept == text)) == set(best)


def test_a_clip_that_no_word_is_near_has_no_concept():
    clips = np.eye(4)
    found = retrieve(clips, np.eye(2, 4), np.array([True, True]), 4, 0.5)
    assert found.concept.tolist() == [0, 1, -1, -1]
    assert found.human.tolist() == [True, True, False, False]


def test_a_clip_of_two_concepts_is_named_after_the_nearer_and_is_human_if_one_is():
    texts = unit(np.array([[1.0, 0.0], [0.0, 1.0]]))
    clips = unit(np.array([[0.6, 1.0]]))
    found = retrieve(clips, texts, np.array([True, False]), 1, 0.3)
    assert found.concept.tolist() == [1]
    assert found.human.tolist() == [True]


def test_the_projects_taxonomy_is_of_people_and_says_each_thing_once():
    concepts = read_taxonomy(Path("configs/curation/concepts/people.yaml"))
    names = [concept.name for concept in concepts]
    assert len(set(names)) == len(names) >= 500
    assert all(concept.human and concept.name in concept.text for concept in concepts)


@pytest.mark.parametrize(
    "text",
    [
        "groups: 3",
        "groups: {a: {concepts: [x]}}",
        "groups: {a: {prompt: no place, concepts: [x]}}",
        "groups: {}",
        "[: :",
    ],
)
def test_a_file_that_is_no_taxonomy_is_refused(tmp_path, text):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(UserError, match=r"taxonomy|no concepts"):
        read_taxonomy(tmp_path / "t.yaml")
    with pytest.raises(UserError, match="is no file"):
        read_taxonomy(tmp_path / "none.yaml")
