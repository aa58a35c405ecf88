"""Words that stay in one place on all frames, and those that do not. The toy world's labelled text holds the
models."""

import pytest

from curation.scores.text import Word, fixed_text, overlap, text_score


def word(left, score=0.9, letters=5):
    return Word((left, 0.1, left + 0.2, 0.2), 0.02, score, 1.0, letters)


def test_a_word_that_stays_is_fixed_with_its_least_score():
    assert fixed_text([[word(0.1, 0.9)], [word(0.11, 0.7), word(0.6)], [word(0.1, 0.8)]]) == pytest.approx(
        0.7
    )


def test_a_word_that_goes_or_moves_is_not():
    assert fixed_text([[word(0.1)], [word(0.4)]]) == 0.0
    assert fixed_text([[word(0.1)], []]) == 0.0
    assert fixed_text([[], [word(0.1)]]) == 0.0


def test_one_frame_cannot_tell():
    assert fixed_text([[word(0.1)]]) is None


def test_single_letters_are_no_text():
    assert text_score([word(0.1, letters=1)]) == 0.0
    assert text_score([]) == 0.0
    assert text_score([word(0.1, 0.3), word(0.5, 0.8)]) == pytest.approx(0.8)


def test_overlap_is_one_with_itself_and_nothing_apart():
    assert overlap((0, 0, 1, 2), (0, 0, 1, 2)) == 1.0
    assert overlap((0, 0, 1, 1), (2, 0, 3, 1)) == 0.0
    assert overlap((0, 0, 2, 1), (1, 0, 3, 1)) == pytest.approx(1 / 3)
