"""One decode of a clip feeds every measurement of it.

A measurement is an Observer that sees the frames in presentation order, one at a time; memory does not grow
with the length of the clip. Spans are counted in ticks of the stream's time base, never in frame numbers, so
variable frame rates, delayed starts and odd time bases cost nothing.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import UInt8

from curation.reduced import ROWS, Reduced, Reducer, full_range, quarter_turns, shrink, upright

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own chatter; failures reach us as exceptions

CONTAINERS = "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,flv,asf,ogg,mxf,gif,dv,ivf,nut,rm,wtv"
SMALL = 64  # pixels of the longer side of `Seen.small`: what global change and camera motion are read from


class Seen:
    """A decoded frame, the right way up; conversions are made once for all observers, when one asks.

    `rgb` and `gray` have the size of the file: for sampled frames. What looks at every frame looks at the
    pictures of the reduced pass: `luma`, `bgr` and `small`.
    """

    def __init__(self, frame: av.VideoFrame, index: int, reducer: Reducer):
        self.frame = frame
        self.index = index  # 0 is the first frame of the clip
        self._reducer = reducer

    @property
    def seconds(self) -> float:
        """When it is shown, on the clock of its stream."""
        return float(stamp(self.frame) * (self.frame.time_base or 0))

    @cached_property
    def rgb(self) -> UInt8[np.ndarray, "h w 3"]:
        return upright(self.frame.to_ndarray(format="rgb24"), quarter_turns(self.frame))

    @cached_property
    def gray(self) -> UInt8[np.ndarray, "h w"]:
        """Luma, 0 to 255."""
        return upright(self.frame.to_ndarray(format="gray"), quarter_turns(self.frame))

    @cached_property
    def _reduced(self) -> Reduced:
        return self._reducer.reduce(self.frame)

    @property
    def luma(self) -> UInt8[np.ndarray, "h w"]:
        """Luma as it is coded (16 to 235 in most files), at the size of the reduced pass."""
        return self._reduced.luma

    @property
    def bgr(self) -> UInt8[np.ndarray, "h w 3"]:
        """Colours at the size that cut detectors work at."""
        return self._reduced.bgr

    @cached_property
    def small(self) -> UInt8[np.ndarray, "h w"]:
        """Luma averaged down to `SMALL` pixels on the longer side, 0 to 255."""
        return full_range(shrink(self.luma, SMALL), full=self._reduced.full)


class Observer(ABC):
    """One measurement of one clip."""

    motion_vectors = False  # ask the decoder for its motion vectors
    rows = ROWS  # shorter side, in pixels, of the reduced pass that it needs

    @abstractmethod
    def see(self, seen: Seen) -> None:
        """Take in the next frame."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """The columns measured, after the last frame."""


def sample_indices(frames: int, count: int) -> list[int]:
    """`count` frame numbers spread evenly over a clip, each in the middle of its part; fewer for shorter
    clips."""
    count = min(count, frames)
    return [int((2 * k + 1) * frames / (2 * count)) for k in range(count)]


def open_video(path: Path | str) -> InputContainer:
    """Open a file, whatever bytes its metadata has. A playlist that is called a video would make FFmpeg open
    whatever it names, here or elsewhere: only containers of one file are read, and only from this disk."""
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    return av.open(f"file:{path}", metadata_errors="replace", container_options=options)


def frames_of(
    path: Path, start_pts: int, end_pts: int, motion_vectors: bool = False
) -> Iterator[av.VideoFrame]:
    """The frames with start_pts <= presentation time < end_pts, in order."""
    for seek in (True, False):
        with open_video(path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # one worker = one core
            if motion_vectors:
                stream.codec_context.options = {"flags2": "+export_mvs"}
            sought = seek and start_pts > (stream.start_time or 0)
            if sought:
                container.seek(start_pts, stream=stream)
            frames = decoded(container, stream)
            first = next(frames, None)
            if sought and (first is None or stamp(first) > start_pts):
                continue  # this demuxer cannot seek: decode from the start
            yield from _within(first, frames, start_pts, end_pts)
            return


def decoded(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The frames from here on that say when they are shown.

    AVI stores no presentation times. What FFmpeg guesses in their place goes back and forth where B-frames
    are packed; the times of decoding that it hands on with the frames go forward.
    """
    if container.format.name != "avi":
        yield from stamped(container.decode(stream))
        return
    last, step = None, 1
    for frame in container.decode(stream):
        when = frame.dts if frame.dts is not None else frame.pts if last is None else last + step
        if when is not None:
            step = when - last if last is not None and when > last else step
            frame.pts = last = when
            yield frame


def stamped(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames that say when they are shown."""
    return (frame for frame in frames if frame.pts is not None or frame.dts is not None)


def stamp(frame: av.VideoFrame) -> int:
    """Presentation time in ticks; old containers have only decoding times."""
    when = frame.pts if frame.pts is not None else frame.dts
    if when is None:
        raise ValueError("a frame without a time")
    return when


def _within(
    first: av.VideoFrame | None, frames: Iterator, start_pts: int, end_pts: int
) -> Iterator[av.VideoFrame]:
    if first is not None and start_pts <= stamp(first) < end_pts:
        yield first
    for frame in frames:
        if stamp(frame) >= end_pts:
            return
        if stamp(frame) >= start_pts:
            yield frame


@dataclass
class Watched:
    """What became of one observer: CPU-seconds that it took, and the failure that ended it early."""

    seconds: float = 0.0
    error: Exception | None = None


def watch(path: Path, start_pts: int, end_pts: int, observers: Sequence[Observer]) -> dict[Observer, Watched]:
    """Show the frames of a span to all `observers`. One that fails sees no more; the others go on."""
    watched = {observer: Watched() for observer in observers}
    vectors = any(observer.motion_vectors for observer in observers)
    reducer = Reducer(max((observer.rows for observer in observers), default=ROWS))
    for index, frame in enumerate(frames_of(path, start_pts, end_pts, vectors)):
        seen, clock = Seen(frame, index, reducer), time.process_time()
        for observer, state in watched.items():
            if state.error is None:
                try:
                    observer.see(seen)
                except Exception as error:  # one score of a clip is lost and says why, the others go on
                    state.error = error
                began, clock = clock, time.process_time()
                state.seconds += clock - began
    return watched
