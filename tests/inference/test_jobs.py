"""Shapes as a user writes them."""

import pytest

from console import UserError
from inference.jobs import parse_shape
from inference.pipeline import Shape

TRAINED = Shape(frames=16, height=64, width=96)


@pytest.mark.parametrize(
    ("size", "frames", "shape"),
    [
        (None, None, TRAINED),
        ("32x48", None, Shape(frames=16, height=48, width=32)),
        ("32X48x8", None, Shape(frames=8, height=48, width=32)),
        (None, 24, Shape(frames=24, height=64, width=96)),
        ("32x48", 24, Shape(frames=24, height=48, width=32)),
        ("32x48x24", 24, Shape(frames=24, height=48, width=32)),
    ],
)
def test_what_is_not_said_is_as_in_training(size, frames, shape):
    assert parse_shape(size, frames, TRAINED) == shape


@pytest.mark.parametrize(
    ("size", "frames", "message"),
    [
        ("64", None, "--size must be"),
        ("axb", None, "--size must be"),
        ("1x2x3x4", None, "--size must be"),
        ("32x48x8", 16, "--frames 16 contradicts --size 32x48x8"),
        (None, 0, "--frames must be at least 1"),
    ],
)
def test_what_is_no_shape_is_refused(size, frames, message):
    with pytest.raises(UserError, match=message):
        parse_shape(size, frames, TRAINED)
