"""A sample of a curated shard to the frames that a model reads: as many as its bucket has, of its size."""

import io
import json
from typing import Any, NamedTuple

import cv2
import numpy as np

from console import UserError
from inference.pipeline import Shape
from inference.shards import Sample
from inference.video import read_video


class Frames(NamedTuple):
    """A clip in memory: uint8 "t h w 3", its description as bytes and as values."""

    key: str
    frames: np.ndarray
    described: bytes
    facts: dict[str, Any]


def bucket_shape(bucket: str) -> Shape:
    """`WxHxF` as a shape."""
    width, height, frames = (int(part) for part in bucket.split("x"))
    return Shape(frames=frames, height=height, width=width)


def decode_clip(sample: Sample, shape: Shape) -> Frames:
    """The middle frames of a sample, as many as `shape` has and of its size."""
    missing = {"mp4", "json"} - set(sample.files)
    if missing:
        raise UserError(f"the sample has no {' and no '.join(sorted(missing))}")
    frames = read_video(io.BytesIO(sample.files["mp4"]))
    if len(frames) < shape.frames:
        raise UserError(f"the clip has {len(frames)} frames; its bucket {shape} needs {shape.frames}")
    start = (len(frames) - shape.frames) // 2
    middle = frames[start : start + shape.frames]
    sized = np.stack([cover(frame, shape.width, shape.height) for frame in middle])
    return Frames(sample.key, sized, sample.files["json"], json.loads(sample.files["json"]))


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
