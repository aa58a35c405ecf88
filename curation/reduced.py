"""The low-resolution pass that every frame of a clip goes through, once for all measurements.

A decoded frame becomes two small pictures: its luma with the shorter side at most `rows` pixels, and its
colours at the size of cut detectors. Scores on every frame look at these; the full size is for the few frames
that are sampled. Luma is read where the decoder left it: an FFmpeg filter graph with the same two outputs
took half as long again (decision 0023).
"""

from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import UInt8

ROWS = 360  # pixels of the shorter side
COLOUR = 256  # pixels of the longer side: PySceneDetect itself scales down to about this
PLANES = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray")  # a byte of luma each


class Reduced(NamedTuple):
    """The two small pictures of one frame, the right way up."""

    luma: UInt8[np.ndarray, "h w"]
    "As it is coded: FFmpeg's own filters see these numbers"
    bgr: UInt8[np.ndarray, "h2 w2 3"]


class Reducer:
    """Makes the pictures of the frames of one clip."""

    def __init__(self, rows: int = ROWS):
        self.rows = rows
        self._planar, self._colours = VideoReformatter(), VideoReformatter()  # each keeps its tables

    def reduce(self, frame: av.VideoFrame) -> Reduced:
        """Both pictures of the next frame."""
        turns = quarter_turns(frame)
        if frame.format.name not in PLANES:  # more bits, RGB, palettes
            frame = self._planar.reformat(frame, format="yuv420p")
        plane = frame.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : frame.height, : frame.width
        ]
        longest = round(max(luma.shape) * min(self.rows / min(luma.shape), 1.0))
        scale = min(COLOUR / max(luma.shape), 1.0)
        width, height = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
        bgr = self._colours.reformat(frame, width, height, "bgr24", interpolation=Interpolation.AREA)
        small = shrink(luma, longest)
        return Reduced(
            upright(small.copy() if small is luma else small, turns), upright(bgr.to_ndarray(), turns)
        )


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often a player turns the frame clockwise by 90 degrees."""
    return round(-(getattr(frame, "rotation", 0) or 0) / 90) % 4


def upright(picture: UInt8[np.ndarray, "h w *c"], turns: int) -> UInt8[np.ndarray, "..."]:
    """Turn a picture clockwise."""
    return np.ascontiguousarray(np.rot90(picture, -turns)) if turns else picture


def full_range(luma: UInt8[np.ndarray, "h w"], frame: av.VideoFrame) -> UInt8[np.ndarray, "h w"]:
    """Coded luma to 0 to 255: most files use 16 to 235."""
    if frame.format.name.startswith(("yuvj", "gray")) or frame.color_range == 2:  # AVCOL_RANGE_JPEG
        return luma
    return cv2.convertScaleAbs(np.maximum(luma, 16), alpha=255 / 219, beta=-16 * 255 / 219)


def shrink(picture: UInt8[np.ndarray, "h w *c"], longest: int) -> UInt8[np.ndarray, "..."]:
    """Area-average a picture down to `longest` pixels on its longer side; smaller ones stay as they are."""
    rows, columns = picture.shape[:2]
    scale = longest / max(rows, columns)
    if scale >= 1:
        return picture
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
