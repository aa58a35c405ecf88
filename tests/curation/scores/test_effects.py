"""Flashes and dissolves are found; cuts and motion are neither."""

import cv2
import numpy as np
import pytest

from curation.footage import watch
from curation.scores.colour import Colourfulness
from curation.scores.effects import Effects, flashes
from tests.curation.conftest import moving, texture, write_video


def measure(tmp_path, observer, frames, fps=8):
    (watched,) = watch(write_video(tmp_path / "a.mp4", frames, fps), 0, 10**9, [observer]).values()
    assert watched.error is None
    return observer.result()


def dissolve(one, other, frames, first, last):
    shares = np.clip((np.arange(frames) - first) / (last - first), 0, 1)
    return [cv2.addWeighted(one, 1 - share, other, share, 0) for share in shares]


def test_a_dissolve_mixes_and_cuts_pans_and_motion_do_not(tmp_path):
    one, other = texture(3) // 2, 255 - texture(9) // 2
    pan = cv2.resize(np.random.default_rng(0).integers(0, 255, (8, 24, 3), dtype=np.uint8), (192, 64))
    clips = {
        "dissolve": dissolve(one, other, 24, 6, 16), "cut": [one] * 12 + [other] * 12,
        "pan": [np.ascontiguousarray(pan[:, 4 * k : 4 * k + 64]) for k in range(24)], "motion": moving(1, 24),
    }  # fmt: skip
    found = {name: measure(tmp_path, Effects(8.0, 3.0), frames)["mixing"] for name, frames in clips.items()}
    assert found["dissolve"] > 0.8
    assert max(found["cut"], found["pan"], found["motion"]) < 0.4


@pytest.mark.parametrize(("light", "count"), [
    ([100] * 8, 0), ([100, 100, 180, 180], 0), ([100, 180, 100, 180, 100], 2), ([100, 110, 120, 130, 140], 0),
    ([140, 90, 140, 140], 1), ([], 0),
])  # fmt: skip
def test_a_flash_is_a_swing_and_its_return(light, count):
    assert flashes(np.array(light, float)) == count


def test_flashes_are_counted_per_second(tmp_path):
    frames = [np.full((64, 64, 3), 220 if k % 4 == 2 else 60, np.uint8) for k in range(16)]
    assert measure(tmp_path, Effects(8.0, 2.0), frames)["flashes"] == pytest.approx(2.0, abs=0.5)


def test_gray_has_no_colour_and_colour_has(tmp_path):
    gray = [np.repeat(texture(1)[..., :1], 3, axis=2)] * 4
    colour = [texture(1)] * 4
    assert measure(tmp_path, Colourfulness(range(4)), gray)["colourfulness"] < 4
    assert measure(tmp_path, Colourfulness(range(4)), colour)["colourfulness"] > 25
