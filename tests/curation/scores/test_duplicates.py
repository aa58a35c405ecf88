"""A copy is found whatever was done to it; another object over the same background is not a copy."""

import cv2
import faiss
import numpy as np
import pytest

from curation.scores import duplicates
from curation.scores.clusters import cluster
from curation.scores.duplicates import Pair, candidates, differences, groups
from tests.curation.conftest import moving

LIMIT = 16.0  # of configs/curation


def signature(frames) -> np.ndarray:
    return np.stack([cv2.resize(frames[k], (32, 32), interpolation=cv2.INTER_AREA) for k in (2, 7, 12)])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Of two signatures, whatever it is."""
    return float(differences([one, other], np.array([[0, 1]]), np.inf)[0])


def cropped(frame):
    return cv2.resize(frame[4:60, 6:62], (64, 64), interpolation=cv2.INTER_CUBIC)


def recompressed(frame):
    return cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    "change",
    [cropped, recompressed, lambda f: f[:, ::-1], lambda f: cv2.convertScaleAbs(f, alpha=1, beta=12)],
    ids=["cropped", "recompressed", "mirrored", "brightened"],
)
def test_copies_differ_little(change):
    frames = moving(3)
    copy = [np.ascontiguousarray(change(frame)) for frame in frames]
    assert difference(signature(frames), signature(copy)) <= LIMIT


def test_another_object_on_the_same_background_differs_much():
    frames = moving(3)
    other = []
    for frame in frames:
        square = (frame == (250, 180, 60)).all(axis=2)
        assert square.sum() == 14 * 14
        other.append(np.where(square[..., None], np.uint8([20, 40, 250]), frame))
    assert difference(signature(frames), signature(other)) > 2 * LIMIT


def disc(left: float, radius: float) -> list[np.ndarray]:
    """A disc that crosses a smooth slope from left to right, drawn finer than its pixels."""
    y, x = np.mgrid[:64, :64] + 0.5
    slope, frames = 60 + x + 0.5 * y, []
    for k in range(16):
        cover = np.clip(radius + 0.5 - np.hypot(x - left - 2 * k, y - 30), 0, 1)
        frames.append(np.stack([slope * (1 - cover) + ink * cover for ink in (250, 120, 30)], axis=-1))
    return [np.rint(frame).astype(np.uint8) for frame in frames]


@pytest.mark.parametrize(("left", "radius"), [(17, 8), (11, 8), (14, 10)])
def test_the_same_object_at_another_place_or_size_is_no_copy(left, radius):
    """The whole picture is seen in both: nothing lies outside from which a crop could have been taken."""
    assert difference(signature(disc(14, 8)), signature(disc(left, radius))) > LIMIT


@pytest.mark.parametrize("side", [61, 58, 55, 52])
@pytest.mark.parametrize("corner", [0.0, 0.4, 1.0])
def test_a_crop_of_any_size_before_a_smooth_background_is_a_copy(side, corner):
    frames, at = disc(14, 8), round(corner * (64 - side))
    cut = [
        cv2.resize(f[at : at + side, at : at + side], (64, 64), interpolation=cv2.INTER_CUBIC) for f in frames
    ]
    assert difference(signature(frames), signature(cut)) <= LIMIT


def test_the_order_of_two_clips_does_not_matter():
    one, other = signature(moving(3)), signature([cropped(frame) for frame in moving(3)])
    assert difference(one, other) == pytest.approx(difference(other, one))


def test_a_limit_turns_away_nothing_that_is_within_it():
    """Copies of all kinds and other discs, every pair of them: those below a limit are the same with and
    without the look at half the size."""
    films = [disc(left, radius) for left, radius in ((14, 8), (17, 8), (14, 10), (24, 5))] + [moving(3)]
    changed = [
        [np.ascontiguousarray(change(f)) for f in film]
        for film in films
        for change in (cropped, recompressed)
    ]
    every = [signature(film) for film in (*films, *changed)]
    pairs = np.array([(a, b) for a in range(len(every)) for b in range(a + 1, len(every))])
    exact = differences(every, pairs, np.inf)
    for limit in (5.0, 10.0, LIMIT):
        found = differences(every, pairs, limit)
        assert ((found <= limit) == (exact <= limit)).all()
        assert 5 < (exact <= limit).sum() < len(pairs) / 2


def test_pictures_of_another_number_or_size_are_no_copies():
    whole = signature(moving(3))
    small = np.stack([cv2.resize(p, (24, 24), interpolation=cv2.INTER_AREA) for p in whole])
    pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 3]])
    found = differences([whole, whole[:2], small, whole], pairs, LIMIT)
    assert np.isfinite(found).tolist() == [False, False, True, False]
    assert len(differences([], np.zeros((0, 2), np.int64), LIMIT)) == 0


def test_the_pairs_of_a_block_are_those_of_all(monkeypatch):
    every = [signature(disc(left, 8)) for left in range(10, 20)]
    pairs = np.array([(a, b) for a in range(10) for b in range(a + 1, 10)])
    whole = differences(every, pairs, np.inf)
    monkeypatch.setattr(duplicates, "PAIRS", 7)
    monkeypatch.setattr(duplicates, "TOGETHER", 3)
    assert differences(every, pairs, np.inf) == pytest.approx(whole, abs=0.05)


def test_candidates_are_all_pairs_above_the_cosine_with_mirrors():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(300, 8)).astype(np.float32)
    mirrored = rng.normal(size=(300, 8)).astype(np.float32)
    mirrored[7] = plain[42]
    for matrix in (plain, mirrored):
        faiss.normalize_L2(matrix)
    found = {(pair.one, pair.other) for pair in candidates(plain, mirrored, 0.9)}
    near = np.maximum(plain @ plain.T, np.maximum(plain @ mirrored.T, mirrored @ plain.T)) >= 0.9
    assert found == {(i, j) for i, j in zip(*np.nonzero(near), strict=True) if i < j}
    assert (7, 42) in found


def test_groups_are_connected_components():
    pairs = [Pair(5, 1, 1.0), Pair(1, 3, 1.0), Pair(2, 4, 1.0)]
    assert sorted(groups(7, pairs)) == [[1, 3, 5], [2, 4]]
    assert groups(3, []) == []


def test_clusters_do_not_depend_on_the_run_and_near_centres_merge():
    rng = np.random.default_rng(0)
    centres = np.eye(3, 16, dtype=np.float32)
    points = np.repeat(centres, 40, axis=0) + rng.normal(scale=0.05, size=(120, 16)).astype(np.float32)
    faiss.normalize_L2(points)
    first, again = cluster(points, 6, 0.9, 0), cluster(points, 6, 0.9, 0)
    assert (first == again).all()
    assert len(set(first.tolist())) == 3
    assert all(len(set(first[k : k + 40].tolist())) == 1 for k in (0, 40, 80))
