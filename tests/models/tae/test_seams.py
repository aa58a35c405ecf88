"""The contrast of a seam is 1 where nothing is to be seen, and rises with what is."""

import pytest
import torch

from models.tae.seams import seam_contrast
from models.tae.tiling import COLUMNS, ROWS, TIME

SHAPE = (1, 64, 3, 32, 32)


def waves() -> torch.Tensor:
    """Moving waves, as smooth at one place as at another."""
    t, h, w = (torch.arange(SHAPE[axis]).float() for axis in (TIME, ROWS, COLUMNS))
    phase = t[:, None, None] / 3 + h[:, None] / 4 + w / 5
    return torch.stack([phase.sin(), phase.cos(), (2 * phase).sin()], dim=1)[None]


@pytest.mark.parametrize("axis", [TIME, ROWS, COLUMNS])
def test_a_video_without_seams_has_a_contrast_of_about_one(axis):
    assert seam_contrast(waves(), [8, 16, 24], axis) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("axis", [TIME, ROWS, COLUMNS])
def test_a_jump_of_brightness_stands_out_only_at_its_place(axis):
    video = waves()
    behind = video.narrow(axis, 16, SHAPE[axis] - 16)
    behind += 1
    assert seam_contrast(video, [16], axis) > 2
    assert seam_contrast(video, [10], axis) == pytest.approx(1, abs=0.15)


def test_the_contrast_rises_with_the_jump():
    found = []
    for jump in (0.25, 0.5, 1.0):
        video = waves()
        video[:, 16:] += jump
        found.append(seam_contrast(video, [16], TIME))
    assert found == sorted(found)


def test_no_seam_stands_out_in_nothing():
    assert seam_contrast(waves(), [], TIME) == 1
    assert seam_contrast(torch.zeros(SHAPE), [16], TIME) == 0


@pytest.mark.parametrize("seams", [[0], [64], [16, 99]])
def test_a_seam_that_is_not_there_is_refused(seams):
    with pytest.raises(ValueError, match="are not within the 64"):
        seam_contrast(waves(), seams, TIME)


def test_seams_that_leave_nothing_to_compare_with_are_refused():
    with pytest.raises(ValueError, match="Nothing lies beside"):
        seam_contrast(waves()[:, :3], [1, 2], TIME)
