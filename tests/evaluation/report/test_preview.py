"""What goes into the page plays there and stays small."""

import base64
import io

import numpy as np
import pytest

from evaluation.report.preview import FPS, SECONDS, SIDE, embed, embed_span, shrink
from inference.video import read_video, write_video


def played(uri: str) -> np.ndarray:
    assert uri.startswith("data:video/mp4;base64,")
    return read_video(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


@pytest.fixture
def rising(tmp_path):
    """Six seconds at 24 frames a second; the grey level is 40 times the second."""
    levels = (np.arange(144) / 24 * 40).astype(np.uint8)
    write_video(tmp_path / "a.mp4", np.broadcast_to(levels[:, None, None, None], (144, 48, 64, 3)), 24)
    return tmp_path / "a.mp4"


def test_a_small_file_goes_in_as_it_is(rising):
    assert base64.b64decode(embed(rising).split(",", 1)[1]) == rising.read_bytes()


def test_a_large_file_becomes_a_small_one(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 200, 360, 3), dtype=np.uint8)
    write_video(tmp_path / "big.mp4", noise, 24)
    uri = embed(tmp_path / "big.mp4")
    frames = played(uri)
    assert frames.shape[1:3] == (124, SIDE)
    assert len(frames) == 12
    assert len(uri) < (tmp_path / "big.mp4").stat().st_size


def test_a_long_span_shows_its_first_seconds(rising):
    assert len(played(embed_span(rising, 0.0, 6.0) or "")) == round(SECONDS * FPS)


def test_a_span_shows_its_own_seconds(rising):
    frames = played(embed_span(rising, 2.0, 4.0) or "")
    assert len(frames) == pytest.approx(2 * FPS, abs=1)
    middle = frames[:, 20, 20, 0].astype(float)
    assert middle[0] == pytest.approx(80, abs=4)
    assert middle[-1] == pytest.approx(160 - 40 / FPS, abs=5)


def test_a_file_that_does_not_decode_has_no_preview(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"nothing" * 1000)
    assert embed_span(tmp_path / "broken.mp4", 0, 2) is None


@pytest.mark.parametrize(
    ("size", "expected"), [((48, 64), (48, 64)), ((1080, 1920), (126, 224)), ((35, 21), (36, 20))]
)
def test_sides_are_even_and_the_shape_is_kept(size, expected):
    assert shrink(np.zeros((2, *size, 3), np.uint8), SIDE).shape == (2, *expected, 3)
