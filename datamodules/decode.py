"""mp4 bytes to frames: by decord, and by PyAV what decord cannot read (cut files, AV1, others)."""

import io

import numpy as np

from console import UserError
from datamodules.shards import Bucket


def decode_clip(data: bytes, bucket: Bucket, clip_id: str) -> np.ndarray:
    """The middle `bucket.frames` frames as uint8 "t h w 3"; another size or too few are refused."""
    try:
        frames = _with_decord(data, bucket.frames)
    except _decord_errors():
        frames = _with_av(data, bucket.frames, clip_id)
    found = f"{frames.shape[2]}x{frames.shape[1]} pixels and {len(frames)} frames"
    if frames.shape[:3] != (bucket.frames, bucket.height, bucket.width):
        raise UserError(
            f"Clip '{clip_id}' has {found}; its bucket needs {bucket.width}x{bucket.height} and "
            f"{bucket.frames}. Make the shards anew."
        )
    return frames


def middle(available: int, needed: int) -> range:
    """Indices of the middle `needed` of `available` frames, or all where there are fewer."""
    start = max(0, (available - needed) // 2)
    return range(start, min(available, start + needed))


def _with_decord(data: bytes, needed: int) -> np.ndarray:
    import decord

    reader = decord.VideoReader(io.BytesIO(data), num_threads=1)
    return reader.get_batch(list(middle(len(reader), needed))).asnumpy()


def _with_av(data: bytes, needed: int, clip_id: str) -> np.ndarray:
    import av
    from av.error import FFmpegError

    try:
        with av.open(io.BytesIO(data), "r") as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (FFmpegError, IndexError) as error:
        raise UserError(f"Clip '{clip_id}' cannot be decoded ({error}). Make the shards anew.") from error
    if not frames:
        raise UserError(f"Clip '{clip_id}' holds no frame. Make the shards anew.")
    return np.stack([frames[index] for index in middle(len(frames), needed)])


def _decord_errors() -> tuple[type[Exception], ...]:
    import decord

    return decord.DECORDError, RuntimeError  # the second where it cannot even open the bytes
