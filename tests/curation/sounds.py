"""Real files with sound, made in milliseconds."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.curation.conftest import Frames, moving

RATE = 48_000
FORMATS = {"flac": "s16", "aac": "fltp", "pcm_f32le": "flt"}  # of samples, as each codec takes them


def tone(seconds: float, hertz: float = 440.0, loud: float = 0.2, rate: int = RATE) -> np.ndarray:
    """A sine, float32 [1 n]."""
    return (loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate))[None].astype(
        np.float32
    )


def write_film(
    path: Path,
    sound: np.ndarray | None,
    frames: Frames | None = None,
    late: float = 0.0,
    codec: str = "flac",
    rate: int = RATE,
) -> Path:
    """A file of 8 pictures a second whose sound, float [channels n], begins `late` seconds after them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = "" if sound is None else {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=8, options={"crf": "16", "preset": "veryfast", "g": "4"})
        pictures.pix_fmt, pictures.thread_count = "yuv420p", 1
        frames = frames or moving(1, 32)
        pictures.height, pictures.width = frames[0].shape[:2]
        voice = None
        if sound is not None:
            voice = file.add_stream(codec, rate=rate, layout=layout)
            assert isinstance(voice, av.AudioStream)
        for picture in frames:
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(pictures.encode())
        if voice is not None and sound is not None:
            resampler = av.AudioResampler(FORMATS[codec], layout, rate)
            for at in range(0, sound.shape[1], 1024):
                part = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(sound[:, at : at + 1024]), format="fltp", layout=layout
                )
                part.sample_rate, part.time_base = rate, Fraction(1, rate)
                part.pts = at + round(late * rate)
                for ready in resampler.resample(part):
                    file.mux(voice.encode(ready))
            file.mux(voice.encode())
    return path
