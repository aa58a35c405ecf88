"""Contact sheets show the first and the last frame of every clip."""

import numpy as np
import pytest
from PIL import Image

from inference.sheet import CELL, GAP, contact_sheet


def ramp(frames: int, height: int = 32, width: int = 32) -> np.ndarray:
    """Frame i is flat grey i * 10."""
    return np.stack([np.full((height, width, 3), 10 * index, np.uint8) for index in range(frames)])


def pixels(path) -> np.ndarray:
    """The sheet as an array "h w 3"."""
    with Image.open(path) as image:
        return np.asarray(image)


def cells(path, columns: int) -> list[int]:
    """Grey in the middle of each cell of the last row."""
    sheet = pixels(path)
    return [
        int(sheet[-GAP - CELL // 2, GAP + CELL // 2 + column * (CELL + GAP), 0]) for column in range(columns)
    ]


def test_a_row_runs_from_the_first_frame_to_the_last_in_even_steps(tmp_path):
    contact_sheet([ramp(15)], tmp_path / "sheet.png")
    assert cells(tmp_path / "sheet.png", 8) == [0, 20, 40, 60, 80, 100, 120, 140]


def test_a_clip_shorter_than_a_row_shows_each_frame_once(tmp_path):
    contact_sheet([ramp(3)], tmp_path / "sheet.png")
    assert cells(tmp_path / "sheet.png", 3) == [0, 10, 20]
    assert pixels(tmp_path / "sheet.png").shape[1] == 3 * CELL + 4 * GAP


def test_each_clip_has_a_row_and_each_label_its_own_place(tmp_path):
    contact_sheet([ramp(4)], tmp_path / "one.png")
    contact_sheet([ramp(4), ramp(8)], tmp_path / "two.png", ["first", "second " * 200])
    one, two = pixels(tmp_path / "one.png"), pixels(tmp_path / "two.png")
    assert two.shape[0] > 2 * one.shape[0] - GAP
    assert two.shape[1] == 8 * CELL + 9 * GAP  # a long label is cut, the sheet does not grow


@pytest.mark.parametrize("size", [(16, 64), (64, 16)])
def test_frames_keep_their_shape(tmp_path, size):
    contact_sheet([ramp(1, *size)], tmp_path / "sheet.png")
    height, width, _ = pixels(tmp_path / "sheet.png").shape
    assert (height - 2 * GAP) / (width - 2 * GAP) == pytest.approx(size[0] / size[1])


def test_no_clip_is_no_sheet(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], tmp_path / "sheet.png")
