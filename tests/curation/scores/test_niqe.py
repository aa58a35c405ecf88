"""NIQE is lower for a picture than for what is left of it, and says nothing of small ones."""

import cv2
import numpy as np
import pytest
from scipy.stats import gennorm

from curation.footage import frames_of
from curation.scores.niqe import LEAST, distance, features_of, natural, normalised, statistics
from curation.scores.packaged import natural_pictures


@pytest.fixture(scope="module")
def picture():
    """Luma of a frame of the 720p film that the package ships with the model."""
    film = natural_pictures().parents[2] / "datasets" / "data" / "bigbuckbunny.mp4"
    *_, frame = (frame for _, frame in zip(range(20), frames_of(film, 0, 10**9), strict=False))
    return frame.to_ndarray(format="gray").astype(np.float32)


def test_what_spoils_a_picture_raises_the_distance(picture):
    model, coded = natural_pictures(), cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 5])[1]
    noise = np.random.default_rng(1).normal(0, 25, picture.shape)
    spoilt = {
        "noise": np.clip(picture + noise, 0, 255), "blur": cv2.GaussianBlur(picture, (0, 0), 3),
        "jpeg": cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE),
    }  # fmt: skip
    clean = distance(features_of(picture), model)
    for name, other in spoilt.items():
        assert distance(features_of(other.astype(np.float32)), model) > clean + 1, name


def test_few_patches_say_nothing():
    features = features_of(np.random.default_rng(0).normal(128, 30, (192, 192)).astype(np.float32))
    assert features.shape == (4, 36)
    assert distance(features, natural_pictures()) is None
    assert features_of(np.zeros((64, 64), np.float32)).shape == (0, 36)
    flat = features_of(np.full((672, 672), 90, np.float32))
    assert len(flat) < LEAST


def test_the_shape_of_a_generalised_gaussian_is_found_again():
    for shape in (0.6, 1.0, 2.0):
        draws = gennorm.rvs(shape, size=(1, 192, 192), random_state=0)
        assert statistics(draws)[0, 0] == pytest.approx(shape, rel=0.08)


def test_normalised_luma_has_no_mean_and_the_model_is_whole(picture):
    assert abs(normalised(picture).mean()) < 0.05
    mean, covariance = natural(natural_pictures())
    assert mean.shape == (36,)
    assert np.allclose(covariance, covariance.T)
