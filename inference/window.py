"""Which frames of a file a model reads: by the time at which each is shown, from the middle or from anywhere.

Frames that come at a variable rate, or at another than asked for, give evenly spaced ones: at each instant
the frame that is nearest to it. What precedes the damage of a file that was cut is read, too.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from console import UserError


class UnreadableError(UserError):
    """This sample cannot be read, whatever becomes of the others."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """So many frames, at so many a second."""

    frames: int
    fps: float

    def choose(self, times: np.ndarray, draw: float | None = None) -> np.ndarray:
        """Indices of the frames to read, of a clip whose frames are shown at `times` (seconds, ascending).

        The window is the middle of the clip; or, with `draw` in [0, 1), one of all that it has room for. A
        clip that is too short is an UnreadableError.
        """
        if not 0 < self.fps < math.inf:
            raise UnreadableError(f"it has {self.fps:g} frames a second by its JSON")
        spare = round((times[-1] - times[0]) * self.fps) + 1 - self.frames if len(times) else -1
        if spare < 0 or len(times) < self.frames:
            raise UnreadableError(
                f"it has {len(times)} frames{self._span(times)}; its bucket needs {self.frames} at "
                f"{self.fps:g} a second"
            )
        first = spare // 2 if draw is None else int(draw * (spare + 1))
        instants = times[0] + (first + np.arange(self.frames)) / self.fps
        return np.searchsorted((times[1:] + times[:-1]) / 2, instants)

    def _span(self, times: np.ndarray) -> str:
        return f" in {times[-1] - times[0] + 1 / self.fps:.3g} s" if len(times) else ""


class Decoded(NamedTuple):
    """Frames of a file, the seconds at which each is shown, and why there are no more, if that is a fault."""

    frames: list[av.VideoFrame]
    times: np.ndarray
    fault: str

    def choose(self, window: Window, draw: float | None = None) -> np.ndarray:
        """As `Window.choose`; a clip that is too short since it is damaged says so."""
        try:
            return window.choose(self.times, draw)
        except UnreadableError as error:
            raise UnreadableError(f"{error} ({self.fault})" if self.fault else str(error)) from None


def decode(data: bytes) -> Decoded:
    """All frames of the first video stream of a file, or those before the place where it is damaged."""
    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
            if not container.streams.video:
                raise UnreadableError("it has no video stream")
            stream = container.streams.video[0]
            frames, fault = _decoded(container, stream)
            return Decoded(frames, _seconds([frame.pts for frame in frames], stream), fault)
    except av.FFmpegError as error:
        raise UnreadableError(f"it cannot be decoded ({error.strerror})") from error


def shown_at(data: bytes) -> np.ndarray | None:
    """The seconds at which each frame is shown, from the packets alone; None for a file that is not plain
    H.264 from the first to the last frame that its header counts."""
    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
            if not container.streams.video or container.streams.video[0].codec_context.name != "h264":
                return None
            stream = container.streams.video[0]  # gone with its container
            packets = [packet for packet in container.demux(stream) if packet.size]
            whole = packets and len(packets) == stream.frames and packets[0].is_keyframe
            stamps = [
                each.pts for each in packets if not (each.is_corrupt or each.is_discard or each.pts is None)
            ]
            if not whole or len(stamps) < len(packets):
                return None
            return np.sort(_seconds(stamps, stream))
    except av.FFmpegError:
        return None


def _decoded(container: InputContainer, stream: VideoStream) -> tuple[list[av.VideoFrame], str]:
    """Frames in order up to the first damaged packet, and what is wrong. What the decoder then still held
    back is not asked for: frames that are shown before it may be missing."""
    frames: list[av.VideoFrame] = []
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                return frames, "the file is cut there"
            frames += packet.decode()  # the last packet is empty: the decoder hands out what it held back
    except av.FFmpegError as error:
        return frames, f"the file is damaged there: {error.strerror}"
    return frames, f"its header counts {stream.frames}" if stream.frames > len(frames) else ""


def _seconds(stamps: Sequence[int | None], stream: VideoStream) -> np.ndarray:
    """Presentation stamps in seconds; where a file does not tell them, as its average rate has it."""
    known = [stamp for stamp in stamps if stamp is not None]
    if stream.time_base is None or len(known) < len(stamps):
        return np.arange(len(stamps)) / float(stream.average_rate or 1)
    return np.array([float(stamp * stream.time_base) for stamp in known])
