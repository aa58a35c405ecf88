"""Video files of any length, picture after picture: pixels with their instants, the sound copied as it is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from console import UserError
from inference.video import open_pictures, paint, pixels_of, video_stream
from storage import atomic_path

USUAL_RATE = Fraction(24)  # pictures a second, where a file names no rate of its own


class Picture(NamedTuple):
    """Pixels uint8 "h w 3" and the instant at which they are shown, in ticks of the film's clock."""

    pixels: np.ndarray
    instant: int


@dataclass(frozen=True, kw_only=True)
class Look:
    """What all pictures of a film share."""

    height: int
    width: int
    clock: Fraction
    """Seconds of a tick."""
    rate: Fraction
    """Pictures a second on average; instants need not be evenly spaced."""
    aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""


def look_of(path: Path) -> Look:
    """Size, clock and rate of a video, from its first picture."""
    with open_pictures(path) as (container, stream):
        for frame in container.decode(stream):
            height, width = upright(frame).shape[:2]
            aspect = stream.sample_aspect_ratio or Fraction(1)
            return Look(
                height=height,
                width=width,
                clock=frame.time_base or 1 / USUAL_RATE,
                rate=stream.average_rate or stream.guessed_rate or USUAL_RATE,
                aspect=1 / aspect if frame.rotation % 180 else aspect,
            )
    raise UserError(f"'{path}' has a video stream without a single frame. Is the file whole?")


def pictures(path: Path, look: Look) -> Iterator[Picture]:
    """The pictures of a video of that look, one in memory at a time, upright.

    What no later file could keep is a UserError: instants that do not rise, or a size that changes.
    """
    with open_pictures(path) as (container, stream):
        before: int | None = None
        for number, frame in enumerate(container.decode(stream)):
            if frame.pts is None or (before is not None and frame.pts <= before):
                raise UserError(
                    f"Frame {number} of '{path}' has the time stamp {frame.pts} behind {before}; they must "
                    "rise. Write the file anew with ffmpeg -i IN -fps_mode cfr OUT."
                )
            pixels = upright(frame)
            if pixels.shape[:2] != (look.height, look.width):
                raise UserError(
                    f"Frame {number} of '{path}' is {pixels.shape[1]}x{pixels.shape[0]}; the first is "
                    f"{look.width}x{look.height}. Split the file where its size changes."
                )
            before = frame.pts
            yield Picture(pixels, frame.pts)


def upright(frame: av.VideoFrame) -> np.ndarray:
    """RGB uint8 "h w 3" as a player shows it: phones store a turned picture and by how much."""
    turns, rest = divmod(frame.rotation, 90)
    if rest:
        raise UserError(f"The picture is turned by {frame.rotation} degrees; only quarter turns are read.")
    return np.rot90(pixels_of(frame), turns)


class FilmWriter:
    """An open mp4: pictures go in by their instants, and the sound of another file goes along with them."""

    def __init__(self, container: Any, look: Look, sound: "Sound | None") -> None:
        self._container, self._look, self._sound = container, look, sound
        self._stream = video_stream(container, look.width, look.height, look.rate)
        if look.width % 2 or look.height % 2:
            self._stream.pix_fmt = "yuv444p"  # 4:2:0 has no odd sizes
        self._stream.codec_context.time_base = look.clock
        self._stream.codec_context.sample_aspect_ratio = look.aspect

    def write(self, picture: Picture) -> None:
        """Encode one picture, behind the sound that comes before it."""
        if self._sound is not None:
            self._sound.copy_until(picture.instant * self._look.clock)
        frame = paint(picture.pixels, self._stream.pix_fmt)
        frame.pts, frame.time_base = picture.instant, self._look.clock
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.copy_until(None)


class Sound:
    """The coded sound of a file, to be copied into another without decoding it."""

    def __init__(self, source: Any, target: Any) -> None:
        self._target = target
        self._streams = {stream: _copied(stream, target) for stream in source.streams.audio}
        self._packets = source.demux(*self._streams) if self._streams else iter(())
        self._next = next(self._packets, None)

    def copy_until(self, seconds: Fraction | None) -> None:
        """Copy what comes before that instant; all that is left, if None."""
        while self._next is not None:
            packet = self._next
            if packet.dts is not None:  # an empty packet ends each stream
                if seconds is not None and packet.dts * packet.time_base >= seconds:
                    return
                packet.stream = self._streams[packet.stream]
                self._target.mux(packet)
            self._next = next(self._packets, None)


def _copied(stream: Any, target: Any) -> Any:
    try:
        return target.add_stream_from_template(stream)
    except ValueError as error:
        raise UserError(
            f"The sound of '{stream.container.name}' cannot be copied into an mp4: {error}. Add --no-sound."
        ) from error


@contextmanager
def writing_film(path: Path, look: Look, sound: Path | None = None) -> Iterator[FilmWriter]:
    """Write an mp4, whole or not at all, with the sound of the file `sound` copied."""
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        options = {"movflags": "+faststart"}  # the index comes first: players start before the end has loaded
        container = stack.enter_context(av.open(str(temporary), mode="w", options=options))
        source = stack.enter_context(_open_sound(sound)) if sound is not None else None
        writer = FilmWriter(container, look, Sound(source, container) if source is not None else None)
        yield writer
        writer.finish()


def _open_sound(path: Path) -> Any:
    try:
        return av.open(str(path))
    except (OSError, av.FFmpegError) as error:
        raise UserError(f"The sound of '{path}' cannot be read ({error.strerror}). Give a video.") from error


def check_mp4(out: Path) -> None:
    """Fail before any work where the result could not be written."""
    if out.suffix != ".mp4":
        raise UserError(f"--out {out}: the result is an .mp4 file. Give NAME.mp4.")
    if out.is_dir():
        raise UserError(f"--out {out} is a folder. Give the name of a file.")
