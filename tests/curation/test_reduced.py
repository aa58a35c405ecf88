"""The small pictures of the reduced pass are those of the frame, whatever its format and its turn."""

import av
import numpy as np
import pytest

from curation.footage import Seen
from curation.reduced import Reducer, full_range, is_full_range, upright
from tests.curation.conftest import texture


def frame_of(picture: np.ndarray, form: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=form)


@pytest.mark.parametrize("form", ["yuv420p", "yuv444p", "yuv420p10le", "nv12", "rgb24", "gray", "yuvj420p"])
def test_every_pixel_format_gives_the_same_picture(form):
    picture = texture(3, 96, 128)
    seen = Seen(frame_of(picture, form), 0, Reducer())
    gray = frame_of(picture, "gray").to_ndarray().astype(float)
    assert seen.luma.shape == (96, 128)
    assert seen.small.shape == (48, 64)
    small = gray.reshape(48, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(seen.small - small).mean() < 2.5
    assert np.abs(seen.bgr[..., ::-1].astype(float) - picture).mean() < (60 if form == "gray" else 4)


@pytest.mark.parametrize(("size", "reduced", "colour"), [
    ((720, 1280), (360, 640), (144, 256)),
    ((1280, 720), (640, 360), (256, 144)),
    ((240, 300), (240, 300), (205, 256)),
])  # fmt: skip
def test_the_shorter_side_is_scaled_down_and_never_up(size, reduced, colour):
    found = Reducer().reduce(frame_of(texture(1, *size), "yuv420p"))
    assert found.luma.shape == reduced
    assert found.bgr.shape == (*colour, 3)


def test_a_reduced_picture_outlives_its_frame():
    reducer, kept = Reducer(), []
    for seed in range(3):
        kept.append(reducer.reduce(frame_of(texture(seed), "yuv420p")).luma)
    for seed, luma in enumerate(kept):
        expected = reducer.reduce(frame_of(texture(seed), "yuv420p")).luma
        assert (luma == expected).all()


def test_gray_stays_gray():
    gray = np.repeat(texture(2)[..., :1], 3, axis=2)
    bgr = Reducer().reduce(frame_of(gray, "yuv420p")).bgr.astype(int)
    assert np.abs(bgr - bgr.mean(axis=2, keepdims=True)).max() <= 2


def test_limited_range_becomes_full():
    luma = np.uint8([[0, 16, 126, 235, 255]])
    assert full_range(luma, full=False).tolist() == [[0, 0, 128, 255, 255]]
    assert (full_range(luma, full=True) == luma).all()
    assert is_full_range(frame_of(texture(1), "yuvj420p"))
    assert not is_full_range(frame_of(texture(1), "yuv420p"))


def test_a_quarter_turn_is_clockwise():
    corner = np.zeros((4, 6), np.uint8)
    corner[0, 0] = 1
    assert upright(corner, 1)[0, -1] == 1
    assert upright(upright(corner, 1), 3).tolist() == corner.tolist()
