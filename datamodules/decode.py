"""mp4 bytes to frames: by decord, and by PyAV what decord does not read or not rightly: files that are cut or
damaged, AV1, and all else that is not plain H.264. Both choose frames by the time at which they are shown.
"""

import io
from typing import Literal, NamedTuple, get_args

import numpy as np

from console import UserError
from datamodules.shards import Bucket
from inference.window import UnreadableError, Window, decode, shown_at

__all__ = ["Reel", "Span", "UnreadableError", "Window", "check_span", "decode_clip", "draw_span"]

Span = Literal["centre", "random"]
SPANS = 2  # keeps the spans drawn apart from the crops and the images


class Reel(NamedTuple):
    """uint8 frames "t h w 3" and the seconds at which they are shown, ascending."""

    frames: np.ndarray
    times: np.ndarray


def check_span(span: str) -> None:
    """A ValueError for what is no Span."""
    if span not in get_args(Span):
        raise ValueError(f"data.span must be centre or random; '{span}' came.")


def draw_span(seed: int, epoch: int | None, number: int) -> float | None:
    """Where in [0, 1) the span of sample `number` begins in an epoch; None, the centre, without an epoch."""
    return None if epoch is None else np.random.default_rng([seed, epoch, int(number), SPANS]).random()


def decode_clip(data: bytes, bucket: Bucket, window: Window, clip_id: str, *, whole: bool = False) -> Reel:
    """The frames of a `window` in the middle of a clip, or the `whole` clip if it has room for that.

    Too few, or bytes that are no video, are an UnreadableError; another size than the bucket's is a
    UserError.
    """
    try:
        reel = _with_decord(data, window, whole) or _with_av(data, window, whole)
    except UnreadableError as error:
        raise UnreadableError(f"Clip '{clip_id}' cannot be read: {error}.") from error
    height, width = reel.frames.shape[1:3]
    if (width, height) != (bucket.width, bucket.height):
        raise UserError(
            f"Clip '{clip_id}' has {width}x{height} pixels; its bucket needs {bucket.width}x{bucket.height}. "
            "Make the shards anew."
        )
    return reel


def _with_decord(data: bytes, window: Window, whole: bool) -> Reel | None:
    """None where decord cannot be trusted: it may fail, or give other frames than those asked for."""
    import decord

    times = shown_at(data)
    if times is None:
        return None
    chosen = window.choose(times)
    wanted = np.arange(len(times)) if whole else chosen
    try:
        reader = decord.VideoReader(io.BytesIO(data), num_threads=1)
        return Reel(reader.get_batch(wanted.tolist()).asnumpy(), times[wanted])
    except (decord.DECORDError, RuntimeError):  # the second where it cannot even open the bytes
        return None


def _with_av(data: bytes, window: Window, whole: bool) -> Reel:
    clip = decode(data)
    chosen = clip.choose(window)
    wanted = np.arange(len(clip.times)) if whole else chosen
    frames = [clip.frames[index].to_ndarray(format="rgb24") for index in wanted]
    return Reel(np.stack(frames), clip.times[wanted])
