"""One clip to an mp4 of its bucket: cut by time, scaled to cover, cropped at the middle, resampled; x264 by
FFmpeg.

The command is built with ffmpeg-python and run by the binary that imageio-ffmpeg ships. One thread and no
clock or version in the file: the same clip gives the same bytes.
"""

import errno
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import av

from curation.footage import open_video
from curation.stage import Row
from curation.stages.shards import Shards

# x264's AVX-512 kernels give other bytes than its older ones; these run on every x86-64, as fast.
SAME_EVERYWHERE = {"x264-params": "asm=sse4.2"} if platform.machine() in ("x86_64", "AMD64") else {}
FULL = "No space left on device"  # FFmpeg says it in words only


def transcode(source: Path, row: Row, target: Path, stage: Shards) -> int:
    """Write the clip `row` of `source` to `target`; the number of frames written. ValueError where it cannot
    be."""
    if stage.copy and not (stage.audio and row["audio"]) and fits(row) and _copy(source, target):
        return row["frames"]
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


def fits(row: Row) -> bool:
    """Whether the clip is a whole file that has the size, rate and frames of its bucket already."""
    want = row["target"]
    return (
        row["codec"] == "h264"
        and row["frames"] == row["file_frames"] == want["frames"]
        and (row["width"], row["height"]) == (want["width"], want["height"])
        and abs(row["file_fps"] / want["rate"] - 1) < 1e-3
        and not row["vfr"]
        and row["rotation"] == 0
        and row["pixel_aspect"] == 1
    )


def _copy(source: Path, target: Path) -> bool:
    """Put the video packets of `source` into a new mp4; False where its pixels are stored in another way."""
    with open_video(source) as file:
        stream = file.streams.video[0]
        if stream.codec_context.pix_fmt != "yuv420p":
            return False
        options = {"fflags": "+bitexact", "movflags": "+faststart"}
        with av.open(str(target), "w", options=options) as copy:
            made = copy.add_stream_from_template(stream)
            for packet in file.demux(stream):
                if packet.size and packet.dts is not None:
                    packet.stream = made
                    copy.mux(packet)
    return True


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
        "flags:a": "+bitexact", "movflags": "+faststart", "video_track_timescale": 90000, **SAME_EVERYWHERE,
    }  # fmt: skip
    streams = [video]
    if stage.audio and row["audio"]:
        shift = quarter if start else row["start"]  # the first frame is shown that long after the time 0
        sound = clip["a:0"].filter("asetpts", f"PTS-{shift:.6f}/TB")
        sound = sound.filter("aresample", **{"async": 1, "first_pts": 0})  # a late start is silence
        streams.append(sound.filter("atrim", end=seconds))
        options |= {"acodec": "aac", "audio_bitrate": "128k"}
    output = ffmpeg.output(*streams, os.fspath(target), **options).overwrite_output()
    output = output.global_args("-hide_banner", "-loglevel", "error", "-nostdin")
    return output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())


def _fraction(rate: float) -> str:
    from fractions import Fraction

    exact = Fraction(rate).limit_denominator(100_000)
    return f"{exact.numerator}/{exact.denominator}"
