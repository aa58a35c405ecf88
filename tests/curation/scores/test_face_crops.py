"""Reference pictures: what is cut out, what the oval blackens, which frames give one."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from curation.footage import watch
from curation.scores.face_crops import Oval, Plain, References, oval_mask, square
from curation.scores.faces import UPRIGHT, Face
from tests.curation.conftest import texture, write_video


def face(left: float, top: float, width: float = 40, height: float = 50) -> Face:
    return Face((left, top, width, height), UPRIGHT, 0.9)


def test_the_cut_is_centred_on_the_face_and_has_one_scale():
    picture = texture(1, 200, 300)
    picture[90:110, 140:160] = 255  # in the middle of the box
    cut = Plain()(picture, face(130, 75), 140)
    white = np.argwhere((cut > 250).all(axis=2))
    assert white.mean(axis=0) == pytest.approx([69.5, 69.5], abs=1.5)
    assert np.ptp(white, axis=0) == pytest.approx([39, 39], abs=3)  # 70 pixels became 140


@pytest.mark.parametrize("corner", [(-20, -30), (270, 170), (-20, 170), (-500, -500), (900, 20)])
def test_beyond_the_frame_it_is_black(corner):
    picture = np.full((200, 300, 3), 200, np.uint8)
    cut, shown = Plain()(picture, face(*corner), 70), square(picture, face(*corner), 1.4, 70)
    assert cut.shape == (70, 70, 3)
    seen = (cut > 0).all(axis=2)
    x, y = round(corner[0] + 20 - 35), round(corner[1] + 25 - 35)
    columns, rows = (max(0, min(n, at + 70) - max(0, at)) for n, at in ((300, x), (200, y)))
    assert seen.sum() == columns * rows
    np.testing.assert_array_equal(shown.inside, seen)


def test_a_face_stays_at_its_pixels_in_a_square_of_another_size():
    picture, one = np.zeros((200, 300, 3), np.uint8), face(130, 75)
    one = one._replace(landmarks=np.array([(140.0, 90), (160, 91), (150, 100), (143, 112), (157, 111)]))
    for x, y in one.landmarks:
        picture[int(y) - 1 : int(y) + 1, int(x) - 1 : int(x) + 1] = 255  # about the corner of four pixels
    shown = square(picture, one, 2.0, 300)  # three times as large
    for x, y in shown.face.landmarks:
        assert shown.rgb[round(y), round(x)].min() > 200
    assert shown.face.box[2:] == pytest.approx((120, 150))
    assert shown.face.box[0] + shown.face.box[2] / 2 == pytest.approx(150, abs=2)


def test_outside_the_oval_it_is_black_and_inside_untouched():
    picture = texture(2, 200, 300)
    plain, masked = (cut(picture, face(130, 75), 140) for cut in (Plain(), Oval()))
    inside = oval_mask(140, 40 * 2, 50 * 2)
    np.testing.assert_array_equal(masked[inside], plain[inside])
    assert not masked[~inside].any()
    assert inside.mean() == pytest.approx(np.pi * 0.6 * 80 * 0.62 * 100 / 140**2, rel=0.01)
    np.testing.assert_array_equal(inside, inside[::-1, ::-1])


def test_frames_without_exactly_one_face_give_no_picture(tmp_path):
    path = write_video(tmp_path / "a.mp4", [texture(k) for k in range(6)])
    answers = iter([[face(10, 5)], [], [face(1, 1), face(20, 5)], [face(12, 6)]])
    detector = SimpleNamespace(find=lambda rgb: next(answers))
    observer = References(detector, [0, 2, 3, 5], 64, Oval())  # pyright: ignore[reportArgumentType]
    assert watch(path, 0, 10**9, [observer])[observer].error is None
    found = observer.result()["face_references"]
    shapes = [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR).shape for one in found]
    assert shapes == [(64, 64, 3)] * 2
