"""Points followed: they go where the picture goes, and what cannot be followed is said."""

import cv2
import numpy as np
import pytest

from curation.scores.tracks import LOOKS, Follower, corners


def scenery(seed: int = 0, side: int = 220) -> np.ndarray:
    picture = np.random.default_rng(seed).integers(30, 226, (40, 40), dtype=np.uint8)
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)


def seen(steps: list[tuple[float, float]], size: tuple[int, int] = (90, 160)) -> list[np.ndarray]:
    """Pictures whose content goes by `steps` pixels in all, seen one after the other."""
    wide = scenery()
    return [
        cv2.warpAffine(
            wide, np.array([[1, 0, x - 30.0], [0, 1, y - 40.0]]), size[::-1], flags=cv2.INTER_CUBIC
        )
        for x, y in steps
    ]


def follow(pictures) -> Follower:
    follower = Follower()
    for picture in pictures:
        follower.see(picture)
    follower.finish()
    return follower


@pytest.mark.parametrize("size", [(90, 160), (160, 90), (100, 100)])
def test_points_go_where_the_picture_goes(size):
    found = follow(seen([(1.5 * k, -0.75 * k) for k in range(LOOKS + 1)], size))
    (one,) = found.done
    side = max(size)
    np.testing.assert_allclose(np.median(one.ways, axis=0) * side, (1.5 * LOOKS, -0.75 * LOOKS), atol=0.1)
    assert (np.abs(one.ways * side - (1.5 * LOOKS, -0.75 * LOOKS)).max(axis=1) < 0.3).mean() > 0.9
    np.testing.assert_allclose(one.steps[:, 1] * side, [(1.5, -0.75)] * LOOKS, atol=0.1)
    assert np.abs(one.places).max(axis=0) == pytest.approx(np.array(size[::-1]) / side / 2, abs=0.06)


def test_a_long_clip_has_a_stretch_for_each_second_and_a_rest():
    still = seen([(0, 0)])[0]
    found = follow([still] * (2 * LOOKS + 3))
    assert [len(one.steps) for one in found.done] == [LOOKS, LOOKS, 2]
    assert all((one.ways == 0).all() for one in found.done)
    assert follow([still]).done == follow([]).done == []


def test_what_has_no_corners_is_skipped_and_not_guessed():
    plain = np.full((90, 160), 120, np.uint8)
    stripes = np.tile(np.uint8(120 + 80 * np.sin(np.arange(160) / 4)), (90, 1))
    spot = plain.copy()
    spot[30:60, 60:90] = scenery()[:30, :30]  # too little of the picture
    for picture in (plain, stripes, spot):
        found = follow([picture] * (LOOKS + 1))
        assert (found.done, found.skipped) == ([], 1)
    assert len(corners(plain)) == 0


def test_points_that_leave_or_change_beyond_recognition_are_dropped():
    pictures = seen([(0, 0), (0, 0)])
    pictures[1] = pictures[1].copy()
    pictures[1][:, 112:] = scenery(9)[:90, :48]
    (one,) = follow(pictures).done
    left = one.places[:, 0] < 0.12
    assert (np.abs(one.ways[left]) < 0.01).all()
    assert left.sum() > 5 * (~left).sum()
    other = follow([*seen([(0, 0)]), *seen([(0, 0), (2, 0)], (100, 100))])
    assert [len(one.steps) for one in other.done] == [1]  # a new size begins anew
