"""Curation under kill -9: whether tables and shards are those of an undisturbed run.

    python -m benchmarks.curation_kills            20 kills under pool, 20 under ray; 10 min
    python -m benchmarks.curation_kills --engines pool --kills 5

Each kill hits, by lot, a worker or the command itself, at a random moment; a command that is gone is typed
again. Runs that end before the kills are used up are followed by others in new folders. The exit code is 1
where a byte differs.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from console import UserError, command
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.write import make
from storage import hash_file

MARKS = ("multiprocessing.spawn import spawn_main", "ray::_Hand")  # how workers call themselves
LATEST = 6.0  # seconds from one kill, or from the first worker of a command, to the next kill, at most


@dataclass
class Ordeal:
    """What one engine went through."""

    kills: Counter = field(default_factory=Counter)
    "Of workers and of commands"
    commands: int = 0
    refused: int = 0
    "Commands that ended by themselves, since workers died again and again on one row"
    given_up: int = 0
    runs: int = 0
    differing: list[str] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["pool", "ray"])
    parser.add_argument("--kills", type=int, default=20, help="for each engine (default %(default)s)")
    parser.add_argument("--clips", type=int, default=60, help="videos of the world (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    shown = Table(
        "engine", "kills of workers", "of the command", "commands", "rows given up", "files that differ"
    )
    worst = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        folder = Path(place)
        make(Settings(clips=options.clips, seed=options.seed), folder / "raw", 2)
        if start(folder, "whole", "pool").wait():
            raise UserError(f"The undisturbed run failed:\n{(folder / 'whole.log').read_text()}")
        whole = results(folder / "whole")
        for engine in options.engines:
            found = endure(folder, engine, options.kills, whole, random.Random(options.seed))
            worst = max(worst, len(found.differing))
            shown.add_row(
                engine, str(found.kills["worker"]), str(found.kills["command"]), str(found.commands),
                str(found.given_up), f"{len(found.differing)} of {len(whole)} x {found.runs}",
            )  # fmt: skip
            print("\n".join(found.differing[:10]), file=sys.stderr)
    Console().print(shown)
    return 1 if worst else 0


def endure(folder: Path, engine: str, kills: int, whole: dict[str, str], dice: random.Random) -> Ordeal:
    """Runs under `engine` until so many kills are done, each to its end."""
    ordeal = Ordeal()
    while ordeal.kills.total() < kills:
        ordeal.runs += 1
        name = f"{engine}-{ordeal.runs}"
        while not _one_command(folder, name, engine, kills, ordeal, dice):
            pass
        found = results(folder / name)
        differing = {path for path in whole.keys() | found.keys() if whole.get(path) != found.get(path)}
        ordeal.differing += sorted(f"{name}/{path}" for path in differing)
    return ordeal


def _one_command(
    folder: Path, name: str, engine: str, kills: int, ordeal: Ordeal, dice: random.Random
) -> bool:
    """Type the command once and kill; whether it came to its end."""
    process = start(folder, name, engine)
    ordeal.commands += 1
    while process.poll() is None and not workers(process.pid):
        time.sleep(0.02)
    while ordeal.kills.total() < kills and process.poll() is None:
        moment = time.monotonic() + dice.uniform(0.0, LATEST)
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.01)
        victim = dice.choice(["worker", "command"])
        alive = workers(process.pid)
        if process.poll() is None and (victim == "command" or alive):
            os.kill(process.pid if victim == "command" else dice.choice(alive), signal.SIGKILL)
            ordeal.kills[victim] += 1
            print(f"{name}: kill {ordeal.kills.total()}, a {victim}", file=sys.stderr)
    process.wait()
    said = (folder / f"{name}.log").read_text()
    ordeal.given_up += said.count(": given up: ")
    if process.returncode in (0, -signal.SIGKILL):
        return process.returncode == 0
    if "times, before its first row" not in said:
        raise UserError(f"{name} ended with exit code {process.returncode}:\n{said}")
    ordeal.refused += 1
    return False


def start(folder: Path, name: str, engine: str) -> subprocess.Popen:
    """The command, in a session of its own, by which its workers are known."""
    arguments = ["-c", "configs/curation/demo.yaml", "--input", folder / "raw", "--out", folder / name,
                 "--engine", engine, "--workers", "2", "--no-mlflow", "--set", "unit=4"]  # fmt: skip
    with open(folder / f"{name}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "curation.run", *map(str, arguments)],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def workers(session: int) -> list[int]:
    """Processes of a session that do the work."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if any(mark in words for mark in MARKS) and os.getsid(int(path.name)) == session:
                found.append(int(path.name))
        except (OSError, ValueError):
            continue  # it is gone
    return sorted(found)


def results(out: Path) -> dict[str, str]:
    """Hash of every table and of every published file, by its path."""
    tables = [path for path in (out / "work").rglob("*.parquet") if ".unfinished" not in str(path)]
    published = [path for path in (out / "shards").rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): hash_file(path) for path in (*tables, *published)}


if __name__ == "__main__":
    command(main)
