"""Video files for tests: of any instants, sizes and sound, and what can be read back from them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 16000  # samples of the sound in a second


def make_film(
    path: Path,
    instants: list[int],
    clock: Fraction = Fraction(1, 90_000),
    size: tuple[int, int] = (48, 64),
    sound: str | None = "aac",
) -> Path:
    """Write soft moving colours, shown at `instants`, with a tone as long as they last."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24, options={"crf": "12", "preset": "fast"})
        video.width, video.height = width, height
        video.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        video.codec_context.time_base = clock
        audio = container.add_stream(sound, rate=RATE, layout="mono") if sound else None
        for number, instant in enumerate(instants):
            phase = number / 4 + columns / 9 + rows / 7
            pixels = np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase)], axis=-1) * 100 + 120
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = instant, clock
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            samples = int(max(1, instants[-1] * clock + Fraction(1, 8)) * RATE)
            wave = np.sin(np.arange(samples) / 6)[None]
            _encode_tone(container, audio, wave)
    return path


def _encode_tone(container, audio, wave: np.ndarray) -> None:
    for start in range(0, wave.shape[1], 1024):
        block = np.ascontiguousarray(wave[:, start : start + 1024])
        if audio.codec_context.format.name.startswith("s16"):
            frame = av.AudioFrame.from_ndarray((block * 20_000).astype(np.int16), format="s16", layout="mono")
        else:
            frame = av.AudioFrame.from_ndarray(block.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def seconds_of(path: Path) -> list[Fraction]:
    """When each frame of a file is shown."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def sound_of(path: Path) -> list[tuple[Fraction, bytes]]:
    """The coded packets of a file's sound, with their instants."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        packets = container.demux(container.streams.audio[0])
        return [(p.pts * p.time_base, bytes(p)) for p in packets if p.size]


def even(frames: int, step: int = 3750) -> list[int]:
    """Instants `step` ticks apart: 24 a second at the usual clock."""
    return [number * step for number in range(frames)]


UNEVEN = [0, 3000, 3001, 9000, 20_000, 21_500, 40_000, 40_100, 61_000, 90_000, 91_000, 99_000]
