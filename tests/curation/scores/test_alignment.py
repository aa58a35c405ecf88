"""A smaller picture is laid where it was cut, also between pixels, and never outside of the larger one."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from curation.scores.alignment import SLACK, Place, refined, residual

SIDE = 32


def scene(seed: int, place: Place) -> np.ndarray:
    """Three pictures float [3 32 32] of one smooth world, read where `place` lies in it."""
    fine = gaussian_filter(np.random.default_rng(seed).normal(size=(3, 640, 640)), (0, 50, 50), mode="wrap")
    fine = 128 + 40 * fine / fine.std()
    at = (np.arange(SIDE) + 0.5) * place.part
    rows, columns = ((20 * (at + first)).astype(int) for first in (place.top, place.left))
    return fine[:, rows][:, :, columns].astype(np.float32)


@pytest.mark.parametrize("true", [Place(0.88, 2.3, 1.1), Place(0.93, 0.4, 1.9), Place(0.8, 5.2, 0.3)])
def test_the_place_of_a_crop_is_found_between_pixels(true):
    whole, cut = scene(0, Place(1.0, 0.0, 0.0)), scene(0, true)
    start = Place(true.part + 0.03, round(true.left), round(true.top))
    found = refined(whole, cut, start)
    assert found == pytest.approx(true, abs=0.12)
    pictures = [np.repeat(one[..., None], 3, axis=-1) for one in (whole, cut)]
    assert residual(*pictures, start) < 2.0


def test_brightness_is_made_equal_and_another_scene_differs():
    first, other = (np.repeat(scene(k, Place(1.0, 0.0, 0.0))[..., None], 3, axis=-1) for k in (0, 1))
    whole = Place(1.0, 0.0, 0.0)
    assert residual(first, first + 20.0, whole) < 0.1
    assert residual(first, other, whole) > 40


def test_a_place_never_leaves_the_larger_picture():
    rng = np.random.default_rng(0)
    for _ in range(20):
        whole, cut = rng.uniform(0, 255, (2, 3, SIDE, SIDE)).astype(np.float32)
        part, left, top = refined(whole, cut, Place(rng.uniform(0.7, 1.1), *rng.uniform(-4, 8, 2)))
        assert 0.7 < part <= 1.0
        assert min(left, top) >= -SLACK
        assert max(left, top) + part * SIDE <= SIDE + SLACK
