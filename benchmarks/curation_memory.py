"""Memory of one curation worker over many clips: it must not grow.

    python -m benchmarks.curation_memory                   200 clips through visual and motion, about 3 min
    python -m benchmarks.curation_memory --clips 400 --side 256

The resident size of the worker is read after each unit of four clips or so. A quarter of the clips is left
out as a start: models are opened and buffers of the allocator grow to their size. The exit code is 1 where
a line through the rest rises by more than the limit.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from console import command, track
from curation import pipeline
from curation.config import load
from curation.engine.pool import Pool
from curation.engine.serial import Serial
from curation.graph import jobs
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.write import make

GROUP = ["visual", "motion"]
LIMIT = 0.02  # of the memory at the start


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--side", type=int, default=128, help="pixels (default %(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="memory-") as place:
        folder = Path(place)
        make(
            Settings(clips=options.clips, seed=0, width=options.side, height=options.side), folder / "raw", 2
        )
        clips, sizes = measure(folder)
    began, rise = risen(clips, sizes)
    shown = Table("what", "measured", "limit")
    for part in (0.25, 0.5, 0.75, 1.0):
        k = min(range(len(clips)), key=lambda k: abs(clips[k] - part * clips[-1]))
        shown.add_row(f"resident memory after {clips[k]:.0f} clips", f"{sizes[k] / 2**20:.1f} MB", "")
    shown.add_row(
        "rise from then on, of a fitted line", f"{100 * rise / began:+.2f} %", f"<= {100 * LIMIT:g} %"
    )
    Console().print(shown)
    return 0 if rise <= LIMIT * began else 1


def measure(folder: Path) -> tuple[list[float], list[float]]:
    """Clips done so far and the worker's resident bytes then, after each unit."""
    changes = {"input": str(folder / "raw"), "out": str(folder / "out"), "mlflow": False}
    config = load("configs/curation/demo.yaml", changes, ["unit=4"])
    graph = pipeline.run_tables(config, "split", Serial())
    clips, sizes, done = [], [], 0
    with Pool(1) as pool:
        due = jobs(graph, GROUP)
        for one in track(pool.run(due), "+".join(GROUP), total=len(due)):
            done += one.report["rows"]
            clips.append(float(done))
            sizes.append(float(resident(pool.workers[0].process.pid or 0)))
    return clips, sizes


def risen(clips: list[float], sizes: list[float]) -> tuple[float, float]:
    """Bytes at the end of the first quarter and how many more at the end, by a fitted line."""
    x, y = np.asarray(clips), np.asarray(sizes)
    late = x >= x[-1] / 4
    slope, base = np.polyfit(x[late], y[late], 1)
    first = x[late][0]
    return float(base + slope * first), float(slope * (x[-1] - first))


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise ProcessLookupError(pid)


if __name__ == "__main__":
    command(main)
