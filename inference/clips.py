"""A sample of a curated shard to the frames that a model reads: as many as its bucket has, of its size."""

import json
from typing import Any, NamedTuple

import cv2
import numpy as np

from inference.pipeline import Shape
from inference.shards import Sample
from inference.video import pixels_of
from inference.window import UnreadableError, Window, decode


class Frames(NamedTuple):
    """A clip in memory: uint8 "t h w 3", its description as bytes and as values."""

    key: str
    frames: np.ndarray
    described: bytes
    facts: dict[str, Any]
    times: np.ndarray | None = None
    """Seconds at which the frames are shown, where all of the clip are here."""


def bucket_shape(bucket: str) -> Shape:
    """`WxHxF` as a shape."""
    width, height, frames = (int(part) for part in bucket.split("x"))
    return Shape(frames=frames, height=height, width=width)


def decode_clip(sample: Sample, shape: Shape, *, whole: bool = False) -> Frames:
    """The middle frames of a sample, as many as `shape` has, at the rate of its JSON and of the size of
    `shape`; or the `whole` clip, of which a window is drawn later. Too few are an UnreadableError."""
    missing = {"mp4", "json"} - set(sample.files)
    if missing:
        raise UnreadableError(f"the sample has no {' and no '.join(sorted(missing))}")
    facts = json.loads(sample.files["json"])
    clip = decode(sample.files["mp4"])
    chosen = clip.choose(Window(frames=shape.frames, fps=float(facts["fps"])))
    pictures = clip.frames if whole else [clip.frames[index] for index in chosen]
    sized = np.stack([cover(pixels_of(frame), shape.width, shape.height) for frame in pictures])
    return Frames(sample.key, sized, sample.files["json"], facts, clip.times if whole else None)


def cover(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a frame until it covers `width` x `height`, then cut the middle out of it."""
    rows, columns = frame.shape[:2]
    if (rows, columns) == (height, width):
        return frame
    scale = max(width / columns, height / rows)
    size = (max(width, round(columns * scale)), max(height, round(rows * scale)))
    scaled = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width]
