"""The first look finds where a crop was taken from, and is OpenCV's template matching in another order."""

import cv2
import numpy as np
import pytest

from curation.scores.crops import CROPS, REFINED, Pictures, likely
from tests.curation.conftest import moving


def clips(count: int) -> np.ndarray:
    """Tiny pictures uint8 [n 3 32 32 3] of clips of different objects, the last a crop of the first."""
    frames = [[f for k, f in enumerate(moving(seed)) if k in (2, 7, 12)] for seed in range(count - 1)]
    frames.append([np.ascontiguousarray(f[:58, 6:]) for f in frames[0]])
    return np.stack(
        [[cv2.resize(f, (32, 32), interpolation=cv2.INTER_AREA) for f in clip] for clip in frames]
    )


def test_a_crop_is_found_where_it_was_cut_mirrored_or_not():
    for mirrored in (False, True):
        tiny = clips(3)
        if mirrored:
            tiny[2] = tiny[2, :, :, ::-1]
        found = likely(Pictures(tiny), np.array([[0, 2]]))
        assert (found.whole[0], found.cut[0], found.turned[0]) == (0, 2, mirrored)
        assert found.places[0] == pytest.approx([58 / 64, 3.0, 0.0], abs=1.01)


def test_other_clips_are_not_alike_and_cost_no_closer_look():
    found = likely(Pictures(clips(4)), np.array([[0, 3], [1, 2]]))
    assert set(found.pair) == {0}
    assert 1 <= len(found.pair) <= REFINED


def test_no_pairs_have_no_tries():
    assert len(likely(Pictures(clips(2)), np.zeros((0, 2), np.int64)).pair) == 0


def test_the_sums_of_squares_are_those_of_template_matching():
    """The best way of every pair, by brute force over sizes, both ways round and both mirrorings."""
    tiny = np.random.default_rng(0).integers(100, 120, (4, 3, 32, 32, 3)).astype(np.uint8)
    pictures, pairs = Pictures(tiny), np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    found = likely(pictures, pairs)
    for number, (one, other) in enumerate(pairs):
        best = (np.inf,)
        for part in CROPS:
            for whole, cut in ((one, other), (other, one)):
                for turned in (False, True):
                    small = pictures.cuts[round(16 * part)][cut].reshape(3, -1, round(16 * part))
                    small = small[..., ::-1] if turned else small
                    large = pictures.half[whole]
                    images = (np.ascontiguousarray(p.transpose(1, 2, 0)) for p in (large, small))
                    least, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(*images, cv2.TM_SQDIFF))
                    best = min(best, (least / small.size, part, whole, cut, turned, 2.0 * left, 2.0 * top))
        first = int(np.flatnonzero(found.pair == number)[0])
        assert (found.whole[first], found.cut[first], found.turned[first]) == best[2:5]
        assert found.places[first] == pytest.approx([best[1], *best[5:]])
