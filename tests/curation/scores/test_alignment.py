"""A smaller picture is laid where it was cut, also between pixels, and never outside of the larger one."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from curation.scores.alignment import SLACK, WORST, refined, residuals

SIDE = 32
HERE = (1.0, 0.0, 0.0)


def scene(seed: int, place: tuple[float, float, float]) -> np.ndarray:
    """Three gray pictures float [3 32 32] of one smooth world, read where `place` lies in it."""
    fine = gaussian_filter(np.random.default_rng(seed).normal(size=(3, 640, 640)), (0, 50, 50), mode="wrap")
    fine, (part, left, top) = 128 + 40 * fine / fine.std(), place
    at = (np.arange(SIDE) + 0.5) * part
    rows, columns = ((20 * (at + first)).astype(int) for first in (top, left))
    return fine[:, rows][:, :, columns].astype(np.float32)


def left_over(whole: np.ndarray, cut: np.ndarray, place: tuple[float, float, float]) -> float:
    """What is left at the best place near that one, gray as all three colours."""
    places = refined(whole[None], cut[None], np.array([place]))
    coloured = (np.repeat(one[None, :, None], 3, axis=2) for one in (whole, cut))
    return float(residuals(*coloured, places)[0])


@pytest.mark.parametrize("true", [(0.88, 2.3, 1.1), (0.93, 0.4, 1.9), (0.8, 5.2, 0.3)])
def test_the_place_of_a_crop_is_found_between_pixels(true):
    whole, cut = scene(0, HERE), scene(0, true)
    start = (true[0] + 0.03, round(true[1]), round(true[2]))
    found = refined(whole[None], cut[None], np.array([start]))[0]
    assert found == pytest.approx(true, abs=0.12)
    assert left_over(whole, cut, start) < 2.0


def test_brightness_is_made_equal_and_another_scene_differs():
    first, other = scene(0, HERE), scene(1, HERE)
    assert left_over(first, first + 20.0, HERE) < 0.1
    assert left_over(first, other, HERE) > 40


def test_a_place_never_leaves_the_larger_picture():
    rng = np.random.default_rng(0)
    whole, cut = rng.uniform(0, 255, (2, 20, 3, SIDE, SIDE)).astype(np.float32)
    start = np.hstack([rng.uniform(0.7, 1.1, (20, 1)), rng.uniform(-4, 8, (20, 2))])
    part, left, top = refined(whole, cut, start).T
    assert ((part > 0.7) & (part <= 1.0)).all()
    assert min(left.min(), top.min()) >= -SLACK
    assert (np.maximum(left, top) + part * SIDE <= SIDE + SLACK).all()


def test_an_alignment_does_not_depend_on_those_beside_it():
    places = [(0.95, 1.0, 0.5), (0.8, 3.0, 5.0), HERE]
    whole = np.stack([scene(0, HERE)] * 3)
    cut = np.stack([scene(0, (part - 0.01, left + 0.3, top)) for part, left, top in places])
    together = refined(whole, cut, np.array(places))
    alone = [refined(whole[[k]], cut[[k]], np.array(places)[[k]])[0] for k in range(3)]
    assert together == pytest.approx(np.array(alone), abs=1e-3)


@pytest.mark.parametrize("place", [HERE, (0.75, 0.0, 8.0), (0.875, 4.0, 2.0)])
def test_what_is_left_is_that_of_the_covered_part_alone(place):
    """Against OpenCV on the part cut out, at places where the cut's pixels need no reading between them."""
    rng = np.random.default_rng(2)
    whole = rng.uniform(0, 255, (1, 2, 3, SIDE, SIDE)).astype(np.float32)
    part, left, top = place
    flat = np.full_like(whole, 100.0)
    first, last = np.ceil(part / 2 - 0.75), np.floor(part * (SIDE - 0.5) - 0.25)
    columns, rows = (slice(int(at + first), int(at + last) + 1) for at in (left, top))
    gap = whole[0, :, :, rows, columns].transpose(0, 2, 3, 1) - 100
    gap -= np.median(gap, axis=(1, 2), keepdims=True)
    soft = [np.abs(cv2.blur(np.ascontiguousarray(picture), (3, 3))).max(axis=2) for picture in gap]
    found = residuals(whole, flat, np.array([place], np.float32))
    assert found == pytest.approx(np.quantile(np.stack(soft), WORST), rel=1e-5)
