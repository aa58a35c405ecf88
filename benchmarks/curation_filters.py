"""Precision and recall of every filter of curation on the toy world, whose spoilers are labelled.

    python -m benchmarks.curation_filters                         240 clips of 64 px, about 2 min on two cores
    python -m benchmarks.curation_filters --clips 120 --side 128

A filter is a rule of the demo's subset, or a class of camera motion; a clip is wrongly rejected where its
label names no such spoiler. The exit code is 1 where a filter of the first table misses 0.95.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from console import command
from curation import pipeline
from curation.config import load
from curation.engines import engine_of
from curation.lock import locked
from curation.rules import read_subset
from curation.table import files
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.write import make

LEAST = 0.95
DETECTORS = ["adaptive", "content", "colour"]  # two shots over one background are cut by colours alone
LOOSE = {"fade", "shake", "duplicates"}  # measured and told; the limit is not asked of them
CAMERAS = ("pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "static shot")


class Counts(NamedTuple):
    """Of one filter."""

    hits: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.hits / max(self.hits + self.wrong, 1)

    @property
    def recall(self) -> float:
        return self.hits / max(self.hits + self.missed, 1)


@dataclass(frozen=True)
class File:
    """What is true of a file, and what curation says of it."""

    truth: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    "Its spans, with their scores"
    reasons: tuple[frozenset[str], ...]
    "Why each span is rejected"
    broken: bool

    @property
    def label(self) -> str | None:
        return self.truth["label"] if self.truth["kind"] == "spoiler" else None

    def rejected_by(self, *rules: str) -> bool:
        """A measured span is rejected by one of `rules`, or all spans are too short, if that is a rule."""
        measured = [reasons for row, reasons in zip(self.rows, self.reasons, strict=True) if row["usable"]]
        whole = "whole shot" in rules and bool(self.rows) and not measured
        return whole or any(set(rules) & reasons for reasons in measured)


# Labels of spoilers, and the rules that should find them. The first is the filter's own, and what it rejects
# wrongly counts; what "whole shot" does is counted under cuts.
FILTERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "letterbox": (("letterbox", "pillarbox"), ("no border",)),
    "static": (("static",), ("no still",)),
    "text": (("text",), ("no text",)),
    "slideshow": (("slideshow",), ("no slideshow", "whole shot")),
    "fade": (("fade",), ("no fade", "whole shot")),
    "shake": (("shake",), ("no shake",)),
}
ALSO = {  # what another filter says of a spoiler that is true as well
    "static": {"slideshow"}, "slideshow": {"hard_cuts", "static", "fade"}, "fade": {"hard_cuts", "slideshow"},
}  # fmt: skip


def measure(clips: int, side: int, seed: int, folder: Path) -> tuple[list[File], dict[str, float]]:
    """Make a world, curate it as the demo with `DETECTORS`, and put truth and verdicts together; the
    CPU-seconds of each stage."""
    shape = {"width": side, "height": side, "camera": 0.15}
    make(Settings(clips=clips, seed=seed, spoilers=0.6, **shape), folder / "raw", 2)
    changes = {"input": str(folder / "raw"), "out": str(folder / "out"), "mlflow": False}
    config = load("configs/curation/demo.yaml", changes, [f"split.detectors={DETECTORS}"])
    with locked(Path(config.out)) as mark, engine_of(config, mark) as engine:
        graph = pipeline.run_tables(config, None, engine)
    table, verdicts = pipeline.judge(graph, read_subset(config.subset))
    rows: dict[str, list[tuple[dict, frozenset]]] = {}
    for number, row in enumerate(table.to_pylist()):
        rows.setdefault(row["source"], []).append((row, frozenset(verdicts.reasons(number))))
    broken = {row["source"] for row in files(graph).to_pylist() if row["ingest_error"]}
    truth = make(Settings(clips=clips, seed=seed, spoilers=0.6, **shape), folder / "raw", 1)
    found = []
    for one in truth:
        if one["file"].endswith(".mp4"):
            spans = rows.get(one["file"], [])
            found.append(
                File(one, tuple(r for r, _ in spans), tuple(why for _, why in spans), one["file"] in broken)
            )
    return found, {
        name: sum(node.folder.statistics(unit.name).get("cpu_seconds", 0.0) for unit in graph.units)
        for name, node in graph.nodes.items()
    }


def count(every: list[File], true: Callable[[File], bool], said: Callable[[File], bool],
          spared: Callable[[File], bool] = lambda file: False) -> Counts:  # fmt: skip
    """Hits, wrong finds and misses; what is `spared` is not counted as wrong."""
    judged = [(true(file), said(file), spared(file)) for file in every]
    return Counts(
        sum(is_so and says for is_so, says, _ in judged),
        sum(says and not is_so and not spare for is_so, says, spare in judged),
        sum(is_so and not says for is_so, says, _ in judged),
    )


def filters(every: list[File]) -> dict[str, Counts]:
    """Counts of each filter over files; reels are cut on purpose and are left out."""
    plain = [file for file in every if file.truth["kind"] != "reel"]
    found = {
        name: count(
            plain, lambda file, labels=labels: file.label in labels,
            lambda file, labels=labels, rules=rules: file.rejected_by(
                *(rules if file.label in labels else rules[:1])
            ),
            lambda file, name=name: file.label in ALSO.get(name, ()),
        )
        for name, (labels, rules) in FILTERS.items()
    }  # fmt: skip
    found = {"cuts": cuts(every), **found}
    found["truncated"] = count(plain, lambda file: file.label == "truncated", lambda file: file.broken)
    return {**found, "duplicates": duplicates(plain)}


def cuts(every: list[File]) -> Counts:
    """Cuts one by one, of all files whose shots are joined hard: found within a frame of where they are."""
    total = Counts(0, 0, 0)
    for file in every:
        if not file.rows or file.truth["label"] == "fade":
            continue  # a fade has no frame of its own
        true = {shot["start_frame"] for shot in file.truth["shots"]} - {0}
        first: dict[int, float] = {}
        for row in file.rows:
            first[row["shot"]] = min(first.get(row["shot"], row["start"]), row["start"])
        said = {round(start * file.truth["fps"]) for start in first.values()} - {0}
        hits = sum(bool({cut - 1, cut, cut + 1} & said) for cut in true)
        total = Counts(total.hits + hits, total.wrong + len(said) - hits, total.missed + len(true) - hits)
    return total


def duplicates(every: list[File]) -> Counts:
    """Pairs of a copy and its source: found where both are in one group; wrong where a group joins others."""
    group = {file.truth["file"]: row["duplicate_group"] for file in every for row in file.rows[:1]}
    family = {file.truth["file"]: file.truth.get("source") or file.truth["file"] for file in every}
    copies = [file.truth for file in every if str(file.label).startswith("duplicate")]
    hits = sum(bool(group[c["file"]]) and group[c["file"]] == group.get(c["source"]) for c in copies)
    members: dict[str, set[str]] = {}
    for name, one in group.items():
        if one:
            members.setdefault(one, set()).add(family[name])
    return Counts(hits, sum(len(families) - 1 for families in members.values()), len(copies) - hits)


def cameras(every: list[File]) -> dict[str, Counts]:
    """Counts of each class of camera motion, over clips that are not spoilt."""
    plain = [file for file in every if file.truth["kind"] == "clip" and file.rows]
    truth = {id(file): file.truth["shots"][0]["camera"].replace("static", "static shot") for file in plain}
    return {
        name: count(
            plain, lambda file, name=name: truth[id(file)] == name,
            lambda file, name=name: file.rows[0]["camera_motion"] == name,
        )
        for name in CAMERAS
    }  # fmt: skip


def show(found: dict[str, Counts], title: str) -> None:
    """One line a filter."""
    shown = Table("filter", "precision", "recall", "found", "wrongly", "missed", title=title)
    for name, counts in found.items():
        shown.add_row(name, f"{counts.precision:.3f}", f"{counts.recall:.3f}", *map(str, counts))
    Console(width=100, file=sys.stdout).print(shown)


def main() -> int:
    """Make, curate, print; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--side", type=int, default=64, help="pixels (default %(default)s)")
    parser.add_argument("--seed", type=int, default=11, help="of the world (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        every, spent = measure(options.clips, options.side, options.seed, Path(folder))
    found = filters(every)
    size = f"{len(every)} files of {options.side} px, seed {options.seed}"
    show(found, f"Filters on {size}")
    show(cameras(every), f"Camera motion on {size}")
    print("CPU-seconds:", ", ".join(f"{name} {one:.1f}" for name, one in spent.items() if one))
    strict = [counts for name, counts in found.items() if name not in LOOSE]
    return int(any(min(counts.precision, counts.recall) < LEAST for counts in strict))


if __name__ == "__main__":
    command(main)
