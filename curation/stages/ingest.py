"""ingest: what each file is, read from its packets; nothing is decoded (520 to 4,450 times real time on one
core).

A file that cannot be read is a row with an error. Times come from presentation time stamps: the mean frame
rate, the length and whether the rate varies are what the packets say, not what the header claims.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
from av.container import InputContainer

from curation.footage import open_video
from curation.listing import sidecar
from curation.stage import Row, RowStage
from storage import hash_file

SQUARE = 0.05  # width over height may be this far from 1
UNEVEN = 0.1  # a step between frames this much off the median (as a part of it) makes the rate variable


@dataclass(frozen=True, kw_only=True)
class Ingest(RowStage):
    """Settings of the ingest stage."""

    name: ClassVar[str] = "ingest"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("source",)
    adds: ClassVar[tuple[str, ...]] = (
        "source", "sha256", "bytes", "container", "codec", "width", "height", "rotation",
        "pixel_aspect", "short_side", "aspect", "orientation", "file_fps", "vfr", "file_frames",
        "file_seconds", "time_base", "video_streams", "audio", "sidecar", "sidecar_error",
    )  # fmt: skip

    whole: float = 0.98
    "Smallest part of the frames that the header promises that must be in the file; fewer is a truncated file"

    def open(self, root: Path) -> Callable[[Row], Row]:
        def ingest(row: Row) -> Row:
            path = root / row["source"]
            if not path.stat().st_size:
                raise ValueError("the file is empty (0 bytes)")
            known = {"source": row["source"], "sha256": hash_file(path), "bytes": path.stat().st_size}
            return known | facts(path, self.whole) | captions(path)

        return ingest


def facts(path: Path, whole: float) -> Row:
    """What container and packets say of the first video stream."""
    try:
        container = open_video(path)
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise ValueError(f"not a readable video: {error.strerror or error}") from error
    with container:
        if not container.streams.video:
            raise ValueError(f"no video stream ({len(container.streams.audio)} audio streams)")
        stream = container.streams.video[0]
        if stream.codec_context is None or not stream.codec_context.width:
            raise ValueError("the video stream has no known codec or size")
        stamps, end = _packets(container, stream)
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
            "video_streams": len(container.streams.video),
            "audio": container.streams.audio[0].codec_context.name if container.streams.audio else None,
        }


def _packets(container: InputContainer, stream: av.VideoStream) -> tuple[np.ndarray, int]:
    """Sorted presentation times of all whole packets, in ticks, and the end of the last one."""
    stamps, end = [], 0
    try:
        for packet in container.demux(stream):
            when = packet.pts if packet.pts is not None else packet.dts
            if when is None or packet.size == 0 or packet.is_corrupt or packet.is_discard:
                continue
            stamps.append(when)
            end = max(end, when + (packet.duration or 0))
    except av.FFmpegError as error:
        if not stamps:
            raise ValueError(f"not a readable video: {error.strerror or error}") from error
    return np.sort(np.array(stamps, dtype=np.int64)), end


def _shape(container: InputContainer, stream: av.VideoStream) -> Row:
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


def _timing(stamps: np.ndarray, end: int, base: Fraction, claimed: Fraction | None) -> Row:
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


def captions(path: Path) -> Row:
    """Captions by people from the file beside the video. A bad one is noted; the video stays."""
    beside = sidecar(path)
    if beside is None:
        return {}
    try:
        text = beside.read_text(encoding="utf-8-sig")
        spans = _spans(json.loads(text)) if beside.suffix == ".json" else [{"text": " ".join(text.split())}]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return {"sidecar_error": f"{beside.name}: {type(error).__name__}: {error}"}
    spans = [{"start": s.get("start"), "end": s.get("end"), "text": s["text"]} for s in spans if s["text"]]
    return {"sidecar": json.dumps(spans, ensure_ascii=False) if spans else None}


def _spans(content: dict) -> list[dict]:
    if "captions" in content:
        spans = content["captions"]
        return [
            {"start": float(s["start"]), "end": float(s["end"]), "text": str(s["text"]).strip()}
            for s in spans
        ]
    return [{"text": str(content["caption"]).strip()}]
