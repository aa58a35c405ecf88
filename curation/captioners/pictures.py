"""Frames of a clip as a chat endpoint takes them: data URLs of JPEGs, in order."""

import base64
import io
from pathlib import Path

from PIL import Image

from curation.footage import frames_of, sample_indices
from curation.reduced import quarter_turns, shrink, upright
from curation.stage import Row

QUALITY = 90  # of the JPEGs


def pictures(root: Path, row: Row, count: int, size: int) -> list[str]:
    """`count` frames spread evenly over the clip, the longer side at most `size` pixels, the right way up."""
    wanted, found = set(sample_indices(row["frames"], count)), []
    for index, frame in enumerate(frames_of(root / row["source"], row["start_pts"], row["end_pts"])):
        if index in wanted:
            picture = upright(frame.to_ndarray(format="rgb24"), quarter_turns(frame))
            buffer = io.BytesIO()
            Image.fromarray(shrink(picture, size)).save(buffer, "JPEG", quality=QUALITY)
            found.append("data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode())
    if not found:
        raise ValueError("no frame to show to the captioner")
    return found
