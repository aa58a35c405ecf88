"""Reference pictures: what is cut out, what is blackened, which frames give one."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from curation.footage import watch
from curation.scores.face_crops import References, crop, oval_mask
from curation.scores.faces import UPRIGHT, Face
from tests.curation.conftest import texture, write_video


def face(left: float, top: float, width: float = 40, height: float = 50) -> Face:
    return Face((left, top, width, height), UPRIGHT, 0.9)


def test_the_cut_is_centred_on_the_face_and_has_one_scale():
    picture = texture(1, 200, 300)
    picture[90:110, 140:160] = 255  # in the middle of the box
    cut = crop(picture, face(130, 75), 140, oval=False)
    white = np.argwhere((cut > 250).all(axis=2))
    assert white.mean(axis=0) == pytest.approx([69.5, 69.5], abs=1.5)
    assert np.ptp(white, axis=0) == pytest.approx([39, 39], abs=3)  # 70 pixels became 140


@pytest.mark.parametrize("corner", [(-20, -30), (270, 170), (-20, 170), (-500, -500), (900, 20)])
def test_beyond_the_frame_it_is_black(corner):
    cut = crop(np.full((200, 300, 3), 200, np.uint8), face(*corner), 70, oval=False)
    assert cut.shape == (70, 70, 3)
    seen = (cut > 0).all(axis=2)
    x, y = round(corner[0] + 20 - 35), round(corner[1] + 25 - 35)
    columns, rows = (max(0, min(n, at + 70) - max(0, at)) for n, at in ((300, x), (200, y)))
    assert seen.sum() == columns * rows


def test_outside_the_oval_it_is_black_and_inside_untouched():
    picture = texture(2, 200, 300)
    plain, masked = (crop(picture, face(130, 75), 140, oval=oval) for oval in (False, True))
    inside = oval_mask(140, 40 * 2, 50 * 2)
    np.testing.assert_array_equal(masked[inside], plain[inside])
    assert not masked[~inside].any()
    assert inside.mean() == pytest.approx(np.pi * 0.6 * 80 * 0.62 * 100 / 140**2, rel=0.01)
    np.testing.assert_array_equal(inside, inside[::-1, ::-1])


def test_frames_without_exactly_one_face_give_no_picture(tmp_path):
    path = write_video(tmp_path / "a.mp4", [texture(k) for k in range(6)])
    answers = iter([[face(10, 5)], [], [face(1, 1), face(20, 5)], [face(12, 6)]])
    detector = SimpleNamespace(find=lambda rgb: next(answers))
    observer = References(detector, [0, 2, 3, 5], 64, oval=True)  # pyright: ignore[reportArgumentType]
    assert watch(path, 0, 10**9, [observer])[observer].error is None
    found = observer.result()["face_references"]
    shapes = [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR).shape for one in found]
    assert shapes == [(64, 64, 3)] * 2
