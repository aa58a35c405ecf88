"""Videos inside the page: an mp4 as a data URI, made small first where it is large."""

import base64
import tempfile
from pathlib import Path

import av
import numpy as np

from inference.clips import cover
from inference.video import write_video

SMALL = 80_000  # bytes that go into the page as they are
SIDE = 224  # pixels of the longer side of a preview
SECONDS = 4.0
FPS = 12.0


def embed(path: Path) -> str:
    """`path` as a data URI that a browser plays: the file itself if small, else a small copy of its start."""
    if path.stat().st_size <= SMALL:
        return _uri(path.read_bytes())
    return embed_span(path, 0.0, SECONDS) or ""


def embed_span(path: Path, start: float, end: float) -> str | None:
    """A small copy of `start` to `end` (seconds) of a video, at most `SECONDS`; None if nothing decodes."""
    frames, last = [], -1.0
    end = min(end, start + SECONDS)
    try:
        with av.open(str(path), mode="r") as container:
            stream = container.streams.video[0]
            zero = (container.start_time or 0) / av.time_base
            container.seek(int((start + zero) * av.time_base))
            for frame in container.decode(stream):
                time = (frame.time or 0.0) - zero
                if time >= end - 1e-3:
                    break
                if time >= start - 1e-3 and time >= last + 1 / FPS - 1e-3:
                    frames.append(frame.to_ndarray(format="rgb24"))
                    last = time
    except (av.FFmpegError, IndexError):
        pass  # what came before the fault is shown
    if not frames:
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "preview.mp4"
        write_video(copy, shrink(np.stack(frames), SIDE), max(1.0, len(frames) / max(end - start, 1 / FPS)))
        return _uri(copy.read_bytes())


def shrink(frames: np.ndarray, side: int) -> np.ndarray:
    """uint8 "t h w 3" with the longer side at most `side` pixels, and both sides even."""
    height, width = frames.shape[1:3]
    scale = min(1.0, side / max(height, width))
    size = tuple(max(2, round(length * scale / 2) * 2) for length in (width, height))
    return np.stack([cover(frame, *size) for frame in frames])


def _uri(content: bytes) -> str:
    return "data:video/mp4;base64," + base64.b64encode(content).decode("ascii")
