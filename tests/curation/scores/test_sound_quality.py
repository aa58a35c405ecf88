"""A predictor of the user is run as it is, and one that gives no grade is named."""

import numpy as np
import pytest

from console import UserError
from curation.scores.sound_quality import Predictor
from tests.curation.onnx_files import constant


def test_a_grade_is_taken_as_the_model_gives_it(tmp_path):
    predictor = Predictor(constant(tmp_path / "q.onnx", [1, "n"], np.array([[6.5]])))
    assert predictor.score(np.zeros(500, np.float32)) == pytest.approx(6.5)


@pytest.mark.parametrize("value", [[[40.0]], [[np.nan]], [[5.0, 5.0]]])
def test_no_grade_is_an_error_of_the_clip(tmp_path, value):
    predictor = Predictor(constant(tmp_path / "q.onnx", [1, "n"], np.array(value)))
    with pytest.raises(ValueError, match="not one number of 1 to 10"):
        predictor.score(np.zeros(500, np.float32))


def test_a_model_of_a_fixed_length_is_refused(tmp_path):
    with pytest.raises(UserError, match="any length"):
        Predictor(constant(tmp_path / "q.onnx", [1, 100], np.array([[6.5]])))
