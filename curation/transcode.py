"""One clip to an mp4 of its bucket: cut by time, scaled to cover, cropped at the middle, resampled; x264 by
FFmpeg.

The command is built with ffmpeg-python and run by the binary that imageio-ffmpeg ships. One thread and no
clock or version in the file: the same clip gives the same bytes.
"""

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

from curation.footage import open_video
from curation.stage import Row
from curation.stages.shards import Shards

FULL = "No space left on device"  # FFmpeg says it in words only


def transcode(source: Path, row: Row, target: Path, stage: Shards) -> int:
    """Write the clip `row` of `source` to `target`; the number of frames written. ValueError where it cannot
    be."""
    command = _command(source, row, target, stage)
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=stage.encode_seconds, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"FFmpeg took longer than {stage.encode_seconds:g} s") from error
    complaint = done.stderr.decode(errors="replace").strip()
    if FULL in complaint:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
    if done.returncode:
        last = complaint.splitlines()[-1] if complaint else "no message"
        raise ValueError(
            f"FFmpeg failed: {last.replace(str(source), row['source']).replace(str(target), 'the clip')}"
        )
    frames = count_frames(target)
    if frames != row["target"]["frames"]:
        raise ValueError(f"FFmpeg wrote {frames} frames; the bucket needs {row['target']['frames']}")
    return frames


def count_frames(path: Path) -> int:
    """Video packets of a file."""
    with open_video(path) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _command(source: Path, row: Row, target: Path, stage: Shards) -> list[str]:
    import ffmpeg
    import imageio_ffmpeg

    want = row["target"]
    seconds = want["frames"] / want["rate"]
    quarter = 0.25 / row["fps"]  # of a frame: a rounded time must not fall behind its own frame
    start = {"ss": f"{row['start'] - quarter:.6f}"} if row["start"] > quarter else {}
    clip = ffmpeg.input(os.fspath(source.absolute()), **start, t=f"{row['end'] - row['start']:.6f}")
    video = (
        clip["v:0"]
        .filter("setpts", "PTS-STARTPTS")
        .filter("fps", fps=_fraction(want["rate"]), start_time=0)
        .filter("scale", "iw*sar", "ih")
        .filter(
            "scale", want["width"], want["height"], force_original_aspect_ratio="increase", flags="bicubic"
        )
        .filter("crop", want["width"], want["height"])
        .filter("setsar", 1)
        .filter("tpad", stop=-1, stop_mode="clone")  # a clip that ends a fraction of a frame early
    )
    options: dict[str, Any] = {
        "vcodec": "libx264", "pix_fmt": "yuv420p", "crf": stage.crf, "preset": stage.preset, "threads": 1,
        "frames:v": want["frames"], "map_metadata": -1, "fflags": "+bitexact", "flags:v": "+bitexact",
        "flags:a": "+bitexact", "movflags": "+faststart", "video_track_timescale": 90000,
    }  # fmt: skip
    streams = [video]
    if stage.audio and row["audio"]:
        streams.append(clip["a:0"].filter("asetpts", "PTS-STARTPTS").filter("atrim", end=seconds))
        options |= {"acodec": "aac", "audio_bitrate": "128k"}
    output = ffmpeg.output(*streams, os.fspath(target), **options).overwrite_output()
    output = output.global_args("-hide_banner", "-loglevel", "error", "-nostdin")
    return output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())


def _fraction(rate: float) -> str:
    from fractions import Fraction

    exact = Fraction(rate).limit_denominator(100_000)
    return f"{exact.numerator}/{exact.denominator}"
