"""Frames of a clip for a captioner, and the form in which a chat endpoint takes them: data URLs of JPEGs."""

import base64
import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from curation.footage import frames_of, sample_indices
from curation.reduced import quarter_turns, shrink, upright
from curation.stage import Row

QUALITY = 90  # of the JPEGs


def pictures(root: Path, row: Row, count: int, size: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    """`count` frames in order, spread evenly over the clip, the longer side at most `size` pixels, the right
    way up. A ValueError where there is none."""
    wanted, found = set(sample_indices(row["frames"], count)), []
    for index, frame in enumerate(frames_of(root / row["source"], row["start_pts"], row["end_pts"])):
        if index in wanted:
            picture = upright(frame.to_ndarray(format="rgb24"), quarter_turns(frame))
            found.append(shrink(picture, size))
    if not found:
        raise ValueError("no frame to show to the captioner")
    return found


def data_url(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """The picture as a JPEG inside a URL."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
