"""Frame strips: a few small pictures of a clip, spread over it, as JPEG inside the page."""

import base64
import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np

from curation.footage import decoded, open_video, stamp
from curation.reduced import quarter_turns, shrink, upright
from curation.sources.library import Library

PICTURES = 4  # in a strip
SIDE = 112  # pixels of the longer side of each


def strips(library: Library, rows: Mapping[int, Mapping[str, Any]], workers: int) -> dict[int, list[str]]:
    """Data URLs of the pictures of each row, by its number; none where the clip cannot be shown."""
    with ThreadPoolExecutor(workers) as pool:  # FFmpeg works outside python's lock
        return dict(zip(rows, pool.map(lambda row: _strip(library, row), rows.values()), strict=True))


def _strip(library: Library, row: Mapping[str, Any]) -> list[str]:
    broken = any(value for key, value in row.items() if key.endswith("_error"))  # it may have killed a worker
    if row["start_pts"] is None or broken:
        return []
    try:
        with library.borrow(row["source"]) as path:
            return [jpeg(picture) for picture in _pictures(path, row["start_pts"], row["end_pts"])]
    except (OSError, ValueError):  # gone since, or elsewhere and not to be had
        return []


def _pictures(path: Path, start: int, end: int) -> Iterable[np.ndarray]:
    """The first frames at or after PICTURES times spread evenly; frames that no other needs are left out of
    the decoding."""
    wanted = [start + (2 * k + 1) * (end - start) // (2 * PICTURES) for k in range(PICTURES)]
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONREF"
        if start > (stream.start_time or 0):
            container.seek(start, stream=stream)
        last = None
        for frame in decoded(container, stream):
            if stamp(frame) >= end or not wanted:
                break
            if stamp(frame) >= start:
                last = frame
            if stamp(frame) >= wanted[0]:
                wanted.pop(0)
                last = None
                yield _small(frame)
        if last is not None and wanted:
            yield _small(last)


def _small(frame: av.VideoFrame) -> np.ndarray:
    return shrink(upright(frame.to_ndarray(format="rgb24"), quarter_turns(frame)), SIDE)


def jpeg(picture: np.ndarray) -> str:
    """An RGB picture as a data URL."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=80)
    return url(buffer.getvalue())


def url(content: bytes) -> str:
    """A JPEG file as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()
