"""PSNR against its closed form."""

import math

import numpy as np
import pytest

from evaluation.metrics import psnr
from evaluation.metrics.psnr import CEILING

GREY = np.full((3, 16, 16, 3), 100, np.uint8)


@pytest.mark.parametrize("error", [1, 5, 50])
def test_a_constant_error_has_the_closed_form(error):
    assert psnr(GREY + np.uint8(error), GREY) == pytest.approx(20 * math.log10(255 / error))


def test_twice_the_error_costs_six_decibels():
    assert psnr(GREY + 4, GREY) - psnr(GREY + 8, GREY) == pytest.approx(20 * math.log10(2))


def test_which_is_the_reference_does_not_matter():
    other = np.random.default_rng(0).integers(0, 256, GREY.shape, dtype=np.uint8)
    assert psnr(other, GREY) == psnr(GREY, other)


def test_it_is_the_mean_over_frames_not_of_the_whole():
    mixed = GREY.copy()
    mixed[0] += 10
    one_frame = 20 * math.log10(255 / 10)
    assert psnr(mixed, GREY) == pytest.approx((one_frame + 2 * CEILING) / 3)


def test_equal_clips_have_the_ceiling():
    assert psnr(GREY, GREY) == CEILING


def test_clips_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        psnr(GREY, GREY[:2])
