"""One decode of a clip's sound feeds every measurement of it.

Sound lies where its presentation times put it on the clock of the file, as pictures do (curation.footage):
before a late start, in a gap and after an early end there is silence, and `coverage` says how much was there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import Float

from curation.footage import open_video

RATE = 16_000  # samples per second of `Sound.mono`: what models of speech and sounds take
PREROLL = 0.5  # seconds decoded ahead of a clip: lossy codecs build on what came before
SNAP = 0.01  # seconds: smaller steps between pieces are rounding of a container's clock, not gaps
USUAL = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # layouts


@dataclass(frozen=True)
class Sound:
    """What a clip sounds like; full scale is 1."""

    native: Float[np.ndarray, "channels n"]
    "As it is stored"
    rate: int
    "Samples per second of `native`"
    layout: str
    "Which channels these are, as FFmpeg names them"
    coverage: float
    "Part of the clip for which sound was decoded, 0 to 1"


class Piece(NamedTuple):
    """Some decoded samples and when they are heard."""

    samples: Float[np.ndarray, "channels n"]
    rate: int
    layout: str
    seconds: float | None
    "On the clock of the file; None where the file does not say: then they follow those before"


def read_sound(path: Path, start: float, end: float) -> Sound | None:
    """The sound of a file between two times on its clock, in seconds; None for a file without any. ValueError
    where nothing of the stream can be decoded, or what comes out is no sound."""
    for seek in (True, False):
        with open_video(path) as container:
            if not container.streams.audio:
                return None
            sought = seek and start > PREROLL
            if sought:
                container.seek(int((start - PREROLL) * 1e6) + (container.start_time or 0))
            pieces = _pieces(container, end)
            first = next(pieces, None)
            if sought and (first is None or first.seconds is None or first.seconds > start):
                continue  # this demuxer cannot seek, or the sound starts late: decode from the start
            if first is None:  # its sound is elsewhere
                nothing = np.zeros((1, round((end - start) * RATE)), np.float32)
                return Sound(nothing, RATE, "mono", 0.0)
            native, coverage = _placed(first, pieces, start, end)
            return Sound(native, first.rate, first.layout, coverage)
    return None


def mono(sound: Sound) -> Float[np.ndarray, " m"]:
    """All channels as one, at `RATE`."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    frame = av.AudioFrame.from_ndarray(sound.native, format="fltp", layout=sound.layout)
    frame.sample_rate = sound.rate
    made = [part.to_ndarray().ravel() for part in (*resampler.resample(frame), *resampler.resample(None))]
    samples = np.zeros(round(sound.native.shape[1] * RATE / sound.rate), np.float32)
    joined = np.concatenate([samples[:0], *made])[: len(samples)]
    samples[: len(joined)] = joined
    return samples


def _pieces(container: InputContainer, end: float) -> Iterator[Piece]:
    """The decoded sound up to `end`, without packets that cannot be decoded; ValueError if none can."""
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise ValueError("the sound has an unknown codec")
    stream.codec_context.thread_count = 1  # one worker = one core
    origin, fault, heard = (container.start_time or 0) / 1e6, None, False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet is not None else []
        except av.FFmpegError as error:
            fault = error
            continue
        if packet is None:
            break
        for frame in frames:
            heard = True
            seconds = None if frame.pts is None else float(frame.pts * (frame.time_base or 0)) - origin
            if seconds is not None and seconds >= end:
                return
            samples = _planar(frame)
            yield Piece(samples, frame.sample_rate, _layout(frame, len(samples)), seconds)
    if fault and not heard:
        raise ValueError(f"no sound can be decoded: {fault.strerror or fault}")


def _layout(frame: av.AudioFrame, channels: int) -> str:
    """Its name, or the usual one of that many channels where a file does not say which they are."""
    name = frame.layout.name
    return USUAL.get(channels, name) if name == f"{channels} channels" else name


def _planar(frame: av.AudioFrame) -> Float[np.ndarray, "channels n"]:
    frame.pts = None  # the resampler would fill gaps of its own
    parts = [part.to_ndarray() for part in av.AudioResampler(format="fltp").resample(frame)]
    return np.concatenate(parts, axis=1)


def _placed(
    first: Piece, more: Iterator[Piece], start: float, end: float
) -> tuple[Float[np.ndarray, "channels n"], float]:
    """The samples where their times put them, and the part of the span that they cover."""
    rate, layout = first.rate, first.layout
    native = np.zeros((len(first.samples), round((end - start) * rate)), np.float32)
    there = np.zeros(native.shape[1], bool)
    cursor = 0 if first.seconds is None else round((first.seconds - start) * rate)
    for piece in chain([first], more):
        if (piece.rate, piece.layout) != (rate, layout):
            raise ValueError(f"the sound changes from {rate} Hz {layout} to {piece.rate} Hz {piece.layout}")
        if not np.isfinite(piece.samples).all():
            raise ValueError("the sound has samples that are no finite numbers")
        at = cursor if piece.seconds is None else round((piece.seconds - start) * rate)
        at = cursor if abs(at - cursor) <= SNAP * rate else at
        cursor = at + piece.samples.shape[1]
        inside = slice(max(at, 0), max(cursor, 0))
        samples = piece.samples[:, max(-at, 0) :][:, : max(len(there) - inside.start, 0)]
        native[:, inside][:, : samples.shape[1]] = samples
        there[inside] = True
    return native, float(there.mean()) if len(there) else 0.0
