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
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

ROWS = 360  # pixels of the shorter side
COLOUR = 256  # pixels of the longer side: PySceneDetect itself scales down to about this
PLANAR = "yuv420p"  # what nearly all video is: bytes of luma and, at half the size, of two colours


class Reduced(NamedTuple):
    """The two small pictures of one frame, the right way up."""

    luma: UInt8[np.ndarray, "h w"]
    "As it is coded: FFmpeg's own filters see these numbers"
    bgr: UInt8[np.ndarray, "h2 w2 3"]
    full: bool
    "Luma goes from 0 to 255, not from 16 to 235"


class Reducer:
    """Makes the pictures of the frames of one clip."""

    def __init__(self, rows: int = ROWS):
        self.rows = rows
        self._planar = VideoReformatter()  # keeps its tables

    def reduce(self, frame: av.VideoFrame) -> Reduced:
        """Both pictures of the next frame."""
        turns, full = quarter_turns(frame), is_full_range(frame)
        if frame.format.name not in (PLANAR, "yuvj420p"):
            frame = self._planar.reformat(frame, format=PLANAR)
            full = False
        luma, blue, red = (_plane(frame, number) for number in range(3))
        small = shrink(luma, round(max(luma.shape) * min(self.rows / min(luma.shape), 1.0)))
        bgr = _colours(small, blue, red, full=full)
        small = small.copy() if small is luma else small  # the decoder uses its memory again
        return Reduced(upright(small, turns), upright(bgr, turns), full)


def _plane(frame: av.VideoFrame, number: int) -> UInt8[np.ndarray, "h w"]:
    """A plane where the decoder left it."""
    plane = frame.planes[number]
    whole = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return whole[: plane.height, : plane.width]


def _colours(
    luma: UInt8[np.ndarray, "h w"],
    blue: UInt8[np.ndarray, "h2 w2"],
    red: UInt8[np.ndarray, "h2 w2"],
    *,
    full: bool,
) -> UInt8[np.ndarray, "r c 3"]:
    """BGR of at most `COLOUR` pixels."""
    scale = min(COLOUR / max(luma.shape), 1.0)
    size = (max(round(luma.shape[1] * scale), 1), max(round(luma.shape[0] * scale), 1))
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (luma, red, blue)]
    if not full:
        planes = [full_range(planes[0], full=full), *map(_full_colour, planes[1:])]
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR)


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often a player turns the frame clockwise by 90 degrees."""
    return round(-(getattr(frame, "rotation", 0) or 0) / 90) % 4


def upright(picture: UInt8[np.ndarray, "h w *c"], turns: int) -> UInt8[np.ndarray, "..."]:
    """Turn a picture clockwise."""
    return np.ascontiguousarray(np.rot90(picture, -turns)) if turns else picture


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether luma goes from 0 to 255; in most files it goes from 16 to 235."""
    return frame.format.name.startswith("yuvj") or frame.color_range == 2  # AVCOL_RANGE_JPEG


def full_range(luma: UInt8[np.ndarray, "h w"], *, full: bool) -> UInt8[np.ndarray, "h w"]:
    """Coded luma to 0 to 255, where it is not that already."""
    if full:
        return luma
    return cv2.convertScaleAbs(np.maximum(luma, 16), alpha=255 / 219, beta=-16 * 255 / 219)


def _full_colour(plane: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """A plane of colour from 16 to 240 about 128 to 0 to 255 about 128."""
    return cv2.convertScaleAbs(np.maximum(plane, 16), alpha=255 / 224, beta=128 - 128 * 255 / 224)


def shrink(picture: UInt8[np.ndarray, "h w *c"], longest: int) -> UInt8[np.ndarray, "..."]:
    """Area-average a picture down to `longest` pixels on its longer side; smaller ones stay as they are."""
    rows, columns = picture.shape[:2]
    scale = longest / max(rows, columns)
    if scale >= 1:
        return picture
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
