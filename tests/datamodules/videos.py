"""Real video files with what ordinary ones do not have: a lost end, another codec, a rate that varies."""

import os
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from evaluation.toy_world.film import Film
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.spoilers import SPOILERS
from evaluation.toy_world.world import Item, compose
from evaluation.toy_world.write import write_film
from inference.video import write_video


def numbered(path: Path, frames: int, fps: float = 8.0, size: int = 16) -> Path:
    """A video in which frame n is grey of level 40 + 4 n: any frame tells its number (up to 50)."""
    levels = (40 + 4 * np.arange(frames)).astype(np.uint8)
    write_video(path, np.broadcast_to(levels[:, None, None, None], (frames, size, size, 3)), fps)
    return path


def noise(path: Path, frames: int, fps: float = 8.0, size: int = 32) -> Path:
    """A video whose frames all take many bytes, so that a share of the file is a share of its frames."""
    coarse = np.random.default_rng(0).integers(0, 256, (frames, size // 4, size // 4, 3), dtype=np.uint8)
    write_video(path, coarse.repeat(4, axis=1).repeat(4, axis=2), fps)
    return path


def cut(path: Path, share: float) -> bytes:
    """The first part of a file, as a broken download leaves it."""
    os.truncate(path, int(path.stat().st_size * share))
    return path.read_bytes()


def av1(path: Path) -> bytes:
    """The file coded anew in AV1."""
    target = path.with_suffix(".av1.mp4")
    options = ["-c:v", "libsvtav1", "-preset", "10", "-crf", "10", "-movflags", "+faststart"]
    options += ["-fps_mode", "passthrough", "-enc_time_base", "1/90000"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", str(path)]
    subprocess.run([*command, *options, str(target)], check=True, capture_output=True)
    return target.read_bytes()


def uneven(path: Path, frames: int = 48, fps: float = 16.0) -> Film:
    """A film of variable frame rate, written to `path`; its `stamps` are the times of its frames."""
    number = tuple(SPOILERS).index("variable_frame_rate")
    film = compose(Item(stream="spoiler", index=number), Settings(clips=1, seed=0, frames=frames, fps=fps))
    write_film(film, path)
    return film


def numbers(frames: np.ndarray) -> list[int]:
    """Which frames of a `numbered` video these are."""
    return np.rint((frames.mean(axis=(1, 2, 3)) - 40) / 4).astype(int).tolist()
