"""Contact sheets: clips as rows of frames with a label each, one PNG that shows motion without a player."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from storage import atomic_path

COLUMNS = 8  # frames of a clip, evenly spaced, the first and the last among them
CELL = 112  # pixels a frame's longer side is brought to
GAP = 4
LABEL = 20  # height of the line of text above a row
PAPER, INK = (250, 250, 248), (40, 40, 44)


def contact_sheet(clips: Sequence[np.ndarray], path: Path | str, labels: Sequence[str] = ()) -> None:
    """Write a PNG with one row per clip (uint8 "t h w 3"), each under its label."""
    if not clips:
        raise ValueError("A contact sheet needs at least one clip.")
    rows = [_row(clip) for clip in clips]
    width = max(row.width for row in rows) + 2 * GAP
    labels = [*labels, *[""] * (len(rows) - len(labels))]
    heights = [row.height + GAP + (LABEL if label else 0) for row, label in zip(rows, labels, strict=True)]
    sheet = Image.new("RGB", (width, sum(heights) + GAP), PAPER)
    top = GAP
    for row, label, height in zip(rows, labels, heights, strict=True):
        if label:
            _write(sheet, label, (GAP, top), width - 2 * GAP)
        sheet.paste(row, (GAP, top + height - GAP - row.height))
        top += height
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def _row(clip: np.ndarray) -> Image.Image:
    indices = np.unique(np.linspace(0, len(clip) - 1, min(COLUMNS, len(clip))).round().astype(int))
    height, width = clip.shape[1:3]
    scale = CELL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    sampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    row = Image.new("RGB", (len(indices) * (size[0] + GAP) - GAP, size[1]), PAPER)
    for column, index in enumerate(indices):
        row.paste(Image.fromarray(clip[index]).resize(size, sampling), (column * (size[0] + GAP), 0))
    return row


def _write(sheet: Image.Image, text: str, place: tuple[int, int], width: int) -> None:
    """Write one line, cut with an ellipsis where it is wider than `width`."""
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    line = " ".join(text.split())[: width // 2]  # no letter is narrower than 2 pixels
    while draw.textlength(line, font=font) > width and len(line) > 1:
        line = line[:-2].rstrip() + "…"
    draw.text(place, line, fill=INK, font=font)
