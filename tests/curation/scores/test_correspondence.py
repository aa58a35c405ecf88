"""The cosine of towers whose embeddings are known, and errors for files that are none."""

import numpy as np
import pytest

from console import UserError
from curation.scores.correspondence import Towers, around
from curation.sound import RATE
from tests.curation.onnx_files import constant, image_tower, sound_tower
from tests.curation.sounds import tone, write_film

LOUD = 0.1 * 2**0.5  # of a sine with a mean power of 0.01


def pair(folder, shape=(1, 3, 16, 16), samples: int | str = 8000) -> Towers:
    image, sound = image_tower(folder / "image.onnx", shape), sound_tower(folder / "sound.onnx", (1, samples))
    return Towers(image, sound)


def plain(*colour: int) -> np.ndarray:
    return np.full((48, 64, 3), colour, np.uint8)


@pytest.mark.parametrize("sizes", [((1, 3, 16, 16), 8000), (("n", 3, "h", "w"), "samples")])
def test_what_belongs_together_scores_one_and_what_does_not_zero(tmp_path, sizes):
    towers = pair(tmp_path, *sizes)
    loud, still = tone(2.0, 400, LOUD, RATE)[0], np.zeros(2 * RATE, np.float32)
    red, blue = plain(255, 0, 0), plain(0, 0, 255)
    for picture, sound, expected in ((red, loud, 1), (blue, loud, 0), (red, still, 0), (blue, still, 1)):
        pieces = [around(sound, at, towers.samples) for at in (0.2, 0.8)]
        assert towers.cosine([picture, picture], pieces) == pytest.approx(expected, abs=0.02)


def test_pictures_of_a_clip_meet_the_sound_of_their_time(tmp_path):
    frames = [plain(255, 0, 0)] * 16 + [plain(0, 0, 255)] * 16
    path = write_film(tmp_path / "film.mkv", None, frames)
    towers = pair(tmp_path)
    samples = np.concatenate([tone(2.0, 400, LOUD, RATE)[0], np.zeros(2 * RATE, np.float32)])
    seen = []
    real = towers.cosine
    towers.cosine = lambda pictures, pieces: (seen.append((pictures, pieces)), real(pictures, pieces))[1]
    score = towers.score(path, {"frames": 32, "start_pts": 0, "end_pts": 10**9}, samples, 4)
    assert score == pytest.approx(1.0, abs=0.02)
    for picture, piece in zip(*seen[0], strict=True):
        assert (picture[..., 0].mean() > 128) == (np.abs(piece).max() > 0.05)


def test_pieces_stay_within_the_clip():
    samples = np.arange(100.0)
    assert around(samples, 0.0, 10)[0] == 0
    assert around(samples, 1.0, 10)[-1] == 99
    np.testing.assert_array_equal(around(samples, 0.5, 10), samples[45:55])
    np.testing.assert_array_equal(around(samples[:3], 0.5, 7), [0, 1, 2, 0, 1, 2, 0])


def test_wrong_towers_are_named(tmp_path):
    image, sound = image_tower(tmp_path / "i.onnx"), sound_tower(tmp_path / "s.onnx")
    with pytest.raises(UserError, match=r"audio.image_tower takes .* \[1, 3, h, w\]"):
        Towers(sound, sound)
    with pytest.raises(UserError, match=r"audio.sound_tower takes .* \[1, samples\]"):
        Towers(image, image)
    with pytest.raises(UserError, match="no pair"):
        Towers(image_tower(tmp_path / "four.onnx", parts=4), sound)
    zero = Towers(constant(tmp_path / "z.onnx", (1, 3, 8, 8), np.zeros((1, 3))), sound)
    with pytest.raises(ValueError, match="zero"):
        zero.cosine([plain(1, 2, 3)], [np.zeros(8000, np.float32)])
