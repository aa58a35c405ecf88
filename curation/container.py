"""What a video file is, read from its packets; nothing is decoded but one frame and a few samples of sound.

Times come from presentation time stamps: the mean frame rate, the length and whether the rate varies are what
the packets say, not what the header claims.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from curation.footage import open_video

SQUARE = 0.05  # width over height may be this far from 1
UNEVEN = 0.1  # a step between frames this much off the median (as a part of it) makes the rate variable

Facts = dict[str, Any]


def facts(path: Path, whole: float, megapixels: float) -> Facts:
    """What container and packets say of the first video stream and the first of sound.

    Raises:
        ValueError: it is no video, cut short (less than `whole` of the frames that it promises), or has
            frames of more than `megapixels`.
    """
    try:
        container = open_video(path)
    except MemoryError:
        raise
    except av.ArgumentError as error:  # FFmpeg's word for a format that is not among those allowed
        raise ValueError("not a readable video: no container that is read here") from error
    except av.FFmpegError as error:
        raise ValueError(f"not a readable video: {error.strerror or error}") from error
    with container:
        if not container.streams.video:
            raise ValueError(f"no video stream ({len(container.streams.audio)} audio streams)")
        stream = container.streams.video[0]
        if stream.codec_context is None or not stream.codec_context.width:
            raise ValueError("the video stream has no known codec or size")
        size = (stream.codec_context.width, stream.codec_context.height)
        if size[0] * size[1] > megapixels * 1e6:
            raise ValueError(
                f"frames of {size[0]}x{size[1]} are larger than ingest.megapixels = {megapixels:g}"
            )
        sound = container.streams.audio[0] if container.streams.audio else None
        stamps, end, heard = _packets(container, stream, sound)
        promised = stream.frames
        if promised and len(stamps) < whole * promised:
            raise ValueError(f"truncated: {len(stamps)} of {promised} frames can be read")
        if not len(stamps):
            raise ValueError("no video frame can be read")
        base = stream.time_base or Fraction(1, 1000)
        return {
            "container": container.format.name,
            "codec": stream.codec_context.name,
            **_shape(container, stream),
            **_timing(stamps, end, base, stream.average_rate),
            "file_start": float(stamps[0] * base),
            "header_seconds": container.duration / av.time_base if container.duration else None,
            "video_streams": len(container.streams.video),
            "audio_streams": len(container.streams.audio),
            **(_sound(container, sound, heard, float(stamps[0] * base)) if sound else {"audio": None}),
        }


def _packets(
    container: InputContainer, stream: av.VideoStream, sound: av.AudioStream | None
) -> tuple[np.ndarray, int, list[int]]:
    """Sorted presentation times of all whole packets, in ticks, and the end of the last one; first tick and
    end of the sound, empty where it has no packet."""
    stamps, end, heard = [], 0, []
    try:
        for packet in container.demux(*filter(None, (stream, sound))):
            if packet.stream is not stream:
                heard = _longer(heard, packet)
                continue
            when = packet.pts if packet.pts is not None else packet.dts
            if when is None or packet.size == 0 or packet.is_corrupt or packet.is_discard:
                continue
            stamps.append(when)
            end = max(end, when + (packet.duration or 0))
    except av.FFmpegError as error:
        if not stamps:
            raise ValueError(f"not a readable video: {error.strerror or error}") from error
    return np.sort(np.array(stamps, dtype=np.int64)), end, heard


def _longer(heard: list[int], packet: av.Packet) -> list[int]:
    if packet.pts is None or packet.size == 0 or packet.is_discard:
        return heard
    first, last = packet.pts, packet.pts + (packet.duration or 0)
    return [min(first, *heard[:1]), max(last, *heard[1:])] if heard else [first, last]


def _sound(container: InputContainer, stream: av.AudioStream, heard: list[int], start: float) -> Facts:
    """Facts of the sound. One that cannot be decoded has a fault; the video stays."""
    context, base = stream.codec_context, stream.time_base or Fraction(1, 1000)
    if context is None:
        return {"audio": None, "audio_fault": "no decoder for it"}
    found = {"audio": context.name, "audio_rate": context.sample_rate, "audio_channels": context.channels}
    if not heard:
        return {**found, "audio_fault": "no packet of it can be read"}
    found |= {"audio_seconds": float((heard[1] - heard[0]) * base)}
    found |= {"audio_lag": float(heard[0] * base) - start}
    try:
        container.seek(heard[0], stream=stream)
        if next(container.decode(stream), None) is None:
            return {**found, "audio_fault": "no sample of it can be decoded"}
    except MemoryError:
        raise
    except av.FFmpegError as error:
        return {**found, "audio_fault": str(error.strerror or error)}
    return found


def _shape(container: InputContainer, stream: av.VideoStream) -> Facts:
    """Size as shown: a quarter turn swaps the sides."""
    width, height = stream.codec_context.width, stream.codec_context.height
    first = next(_frames(container, stream), None)
    if first is None:
        raise ValueError("no video frame can be decoded")
    rotation = -int(getattr(first, "rotation", 0) or 0) % 360
    if rotation % 180 == 90:
        width, height = height, width
    pixel = float(stream.sample_aspect_ratio or 1)
    pixel = 1 / pixel if rotation % 180 == 90 else pixel
    aspect = width * pixel / height
    return {
        "width": width,
        "height": height,
        "rotation": rotation,
        "pixel_aspect": pixel,
        "short_side": min(width, height),
        "aspect": aspect,
        "orientation": "square" if abs(aspect - 1) <= SQUARE else "landscape" if aspect > 1 else "portrait",
    }


def _frames(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Frames from the start of a container that was read before."""
    stream.codec_context.thread_count = 1
    try:
        container.seek(stream.start_time or 0, stream=stream)
        yield from container.decode(stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        return


def _timing(stamps: np.ndarray, end: int, base: Fraction, claimed: Fraction | None) -> Facts:
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    if len(steps):
        fps = float(len(steps) / (steps.sum() * base))
        vfr = bool(np.abs(steps / np.median(steps) - 1).max() > UNEVEN + 1 / np.median(steps))
    else:
        fps, vfr = float(claimed or 0) or 1.0, False
    last = max(end, int(stamps[-1] + round(1 / (fps * base))) if end <= stamps[-1] else end)
    return {
        "file_fps": fps,
        "vfr": vfr,
        "file_frames": len(stamps),
        "file_seconds": float((last - stamps[0]) * base),
        "time_base": str(base),
    }
