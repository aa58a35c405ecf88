"""Video files: frames in, an H.264 mp4 out, and back. Frames are uint8 "t h w 3" in RGB order."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from console import UserError
from storage import atomic_path

CRF = "10"  # near-lossless: what looks wrong on the screen is then the model's; 64 px x 2 s is about 20 kB
BT709 = 1  # H.273 code of the primaries, the transfer curve and the matrix that players assume for HD


class Audio(NamedTuple):
    """Samples float32 "c s" in [-1, 1] (1 or 2 channels) and how many of them a second has."""

    samples: np.ndarray
    rate: int


def write_video(path: Path | str, frames: np.ndarray, fps: float, audio: Audio | None = None) -> None:
    """Write uint8 `frames` "t h w 3" as H.264 yuv420p (and AAC), whole or not at all.

    The format halves the chroma, so height and width must be even.
    """
    _check(frames, fps)
    options = {"movflags": "+faststart"}  # the index comes first: players start before the end has loaded
    with atomic_path(path) as temporary, av.open(str(temporary), mode="w", options=options) as container:
        video = video_stream(container, frames.shape[2], frames.shape[1], _rate(fps))
        sound = _audio_stream(container, audio) if audio is not None else None
        for index, pixels in enumerate(frames):
            frame = paint(pixels, video.pix_fmt)
            frame.pts, frame.time_base = index, 1 / _rate(fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and audio is not None:
            _encode_audio(container, sound, audio)


def read_video(path: Path | str | BinaryIO, max_frames: int | None = None) -> np.ndarray:
    """Decode uint8 "t h w 3" from the start, frame after frame, at most `max_frames` of them."""
    frames = []
    with open_pictures(path) as (container, stream):
        for frame in container.decode(stream):
            frames.append(pixels_of(frame))
            if len(frames) == max_frames:
                break
    if not frames:
        raise UserError(f"{_named(path)} has a video stream without a single frame. Is the file whole?")
    return np.stack(frames)


@contextmanager
def open_pictures(path: Path | str | BinaryIO) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A file and its first video stream; what goes wrong in it, also while decoding, is a UserError."""
    name = _named(path)
    try:
        with av.open(str(path) if isinstance(path, Path) else path, mode="r") as container:
            if not container.streams.video:
                raise UserError(f"{name} has no video stream. Give a file with a picture track.")
            yield container, container.streams.video[0]
    except FileNotFoundError:
        raise UserError(f"There is no video {name}.") from None
    except av.FFmpegError as error:
        raise UserError(f"{name} cannot be decoded ({error.strerror}). Is the file whole?") from error


def read_fps(path: Path | str) -> float:
    """Average frames a second of the first video stream."""
    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 0)


def pixels_of(frame: av.VideoFrame) -> np.ndarray:
    """RGB by the matrix that the file names; where it names none, by the converter's own rule, BT.601."""
    source = Colorspace.ITU709 if frame.colorspace == BT709 else None
    return frame.reformat(format="rgb24", src_colorspace=source).to_ndarray()


def paint(pixels: np.ndarray, pixel_format: str) -> av.VideoFrame:
    """Undo `pixels_of`: uint8 RGB "h w 3" to a frame in the colours of `video_stream`."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return frame.reformat(format=pixel_format, dst_colorspace=Colorspace.ITU709)


def _named(path: Path | str | BinaryIO) -> str:
    return f"'{path}'" if isinstance(path, (str, Path)) else "the video"


def _check(frames: np.ndarray, fps: float) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) == 0:
        raise ValueError(f"Frames must be uint8 't h w 3' with t >= 1; {frames.dtype} {frames.shape} came.")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(
            f"H.264 with 4:2:0 chroma needs an even width and height; "
            f"{frames.shape[2]}x{frames.shape[1]} came. Crop or pad one row or column."
        )
    if not fps > 0:
        raise ValueError(f"A video needs more than 0 frames a second; {fps} came.")


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)  # 30000/1001 and its kin stay exact


def video_stream(container: Any, width: int, height: int, rate: Fraction) -> Any:
    """Add an H.264 stream of BT.709 colours to an open file."""
    stream = container.add_stream("libx264", rate=rate, options={"crf": CRF, "preset": "medium"})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.thread_count = 1  # more threads than macroblock rows change the bytes; clips are small
    context.color_primaries = context.color_trc = context.colorspace = BT709
    return stream


def _audio_stream(container: Any, audio: Audio) -> Any:
    layout = {1: "mono", 2: "stereo"}.get(len(audio.samples))
    if layout is None or audio.samples.ndim != 2:
        raise ValueError(f"Audio must be 'c s' with 1 or 2 channels; {audio.samples.shape} came.")
    return container.add_stream("aac", rate=audio.rate, layout=layout)


def _encode_audio(container: Any, stream: Any, audio: Audio) -> None:
    samples = np.ascontiguousarray(np.clip(audio.samples, -1, 1), dtype=np.float32)
    for start in range(0, samples.shape[1], 1024):  # AAC codes 1024 samples at a time
        block = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = audio.rate, start, Fraction(1, audio.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
