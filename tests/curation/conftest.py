"""Real mp4 files, made in milliseconds: textured pictures that move as asked, of any size and rate."""

import json
import wave
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from curation.config import Config, load
from curation.engine.serial import Serial

Frames = list[np.ndarray]


def texture(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A smooth colourful picture, uint8 [h w 3], that differs for each seed."""
    small = np.random.default_rng(seed).integers(40, 216, (6, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def moving(seed: int, count: int = 16, height: int = 64, width: int = 64, speed: int = 2) -> Frames:
    """A bright square that crosses a textured picture."""
    back, frames = texture(seed, height, width), []
    for k in range(count):
        frame = back.copy()
        left = (4 + seed * 7 + k * speed) % (width - 16)
        frame[height // 3 : height // 3 + 14, left : left + 14] = (
            250,
            240 - 20 * (seed % 9),
            20 * (seed % 12),
        )
        frames.append(frame)
    return frames


def write_video(
    path: Path, frames: Iterable[np.ndarray], fps: int = 8, *, stamps: list[int] | None = None, crf: int = 16
) -> Path:
    """An H.264 file; `stamps` are presentation times in thousandths of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": "veryfast"})
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        if stamps:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for k, picture in enumerate(frames):
            if k == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if stamps:
                frame.pts, frame.time_base = stamps[k], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_audio(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: float, rate: int = 16000) -> Path:
    """A WAV file with a rising tone."""
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * (200 + 100 * times) * times) * 8000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone.astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, one with a caption, one of two shots, a still, a copy, and files that are no videos."""
    root = tmp_path_factory.mktemp("raw")
    for seed in range(6):
        write_video(root / f"clip {seed}.mp4", moving(seed))
    (root / "clip 0.json").write_text(json.dumps({"caption": "a square moves right"}))
    write_video(root / "sub" / "två.mp4", [*moving(11, 16), *moving(12, 16)])
    write_video(root / "still.mp4", [texture(20)] * 16)
    (root / "copy.mp4").write_bytes((root / "clip 1.mp4").read_bytes())
    (root / "empty.mp4").touch()
    (root / "notes.mp4").write_text("this is no video at all")
    write_audio(root / "sound.mp4")
    whole = (root / "clip 2.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture
def config(raw: Path, tmp_path: Path) -> Callable[..., Config]:
    """The demo's settings over `raw`, into a fresh folder, without the models (`--set` texts change it)."""

    def make(*changes: str, source: Path = raw, out: Path = tmp_path / "out") -> Config:
        light = ["visual.text_frames=1", "embed.size=32", "unit=4", "mlflow=false", "examples=2"]
        return load("configs/curation/demo.yaml", {"input": str(source), "out": str(out)}, [*light, *changes])

    return make


@pytest.fixture
def serial() -> Serial:
    """An engine in this process."""
    return Serial()
