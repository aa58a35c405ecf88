"""What curation says of real clips, beside what a person who looked at them says.

    python -m benchmarks.curation_real --media DIR

DIR holds the clips of benchmarks/curation_real.csv under the names there; its column `origin` says where they
are from: packages and repositories that ship clips for their tests. Clips that DIR lacks are left out, and
told. The table was filled in by eye, before any filter had run, and three verdicts were mended on a second
look: `y` or `n` for each filter, empty where it cannot be said; `cuts` are the first frames of all shots but
the first, with `x` where there are dissolves and fades too, which have no frame, so that what is found beside
the cuts is not wrong; `copy` names the clip that it is a copy of; `camera` is the one motion of a clip of one
shot. The rules are those of configs/curation/default.yaml, clips from 1 s on so that short ones count.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.curation_filters import Counts
from console import UserError, command
from curation import pipeline
from curation.config import load
from curation.engines import engine_of
from curation.lock import locked
from curation.rules import read_subset

TABLE = Path(__file__).with_suffix(".csv")
RULES = {  # column of the table, and the rule of the subset that should say it
    "small": "resolution", "text": "no text", "border": "no border", "still": "no still",
    "slideshow": "no slideshow", "fade": "no fade",
}  # fmt: skip
SPLIT = [
    "split.rule=tile", "split.min_seconds=1", "split.max_seconds=16", "split.drop_first_seconds=0",
]  # fmt: skip
NEAR = 2  # frames between a cut and where it is found


class Clip(NamedTuple):
    """One real clip: what a person says of it, and its spans with their scores and why each is rejected."""

    truth: Mapping[str, str]
    rows: list[Mapping[str, Any]]
    reasons: list[frozenset[str]]


class Disagreement(NamedTuple):
    """A filter that says something else than a person."""

    file: str
    what: str
    truth: str
    said: str


def read_table(media: Path) -> list[dict[str, str]]:
    """Rows of the table whose clips are in `media`."""
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [row for row in rows if (media / row["file"]).is_file()]
    if not found:
        raise UserError(
            f"{media} has none of the {len(rows)} clips of {TABLE.name}, such as {rows[0]['file']}. Give the "
            "folder that holds them; the table's column origin says where they are from."
        )
    if len(found) < len(rows):
        lacking = sorted({row["file"] for row in rows} - {row["file"] for row in found})
        print(f"left out, not in {media}: {', '.join(lacking)}", file=sys.stderr)
    return found


def curate(media: Path, truth: list[dict[str, str]], work: Path) -> list[Clip]:
    """Run the stages that the default subset needs on the clips of the table."""
    (work / "raw").mkdir()
    for row in truth:
        (work / "raw" / flat(row["file"])).symlink_to((media / row["file"]).absolute())
    changes = {"input": str(work / "raw"), "out": str(work / "out"), "mlflow": False}
    config = load("configs/curation/default.yaml", changes, SPLIT)
    with locked(Path(config.out)) as mark, engine_of(config, mark) as engine:
        graph = pipeline.run_tables(config, None, engine)
    table, verdicts = pipeline.judge(graph, read_subset(config.subset))
    spans: dict[str, list[tuple[Mapping[str, Any], frozenset[str]]]] = {}
    for number, row in enumerate(table.to_pylist()):
        spans.setdefault(row["source"], []).append((row, frozenset(verdicts.reasons(number))))
    return [
        Clip(
            row,
            [r for r, _ in spans.get(flat(row["file"]), [])],
            [w for _, w in spans.get(flat(row["file"]), [])],
        )
        for row in truth
    ]


def flat(name: str) -> str:
    """A clip's name without folders."""
    return name.replace("/", " ")


def compare(clips: list[Clip]) -> tuple[dict[str, Counts], list[Disagreement]]:
    """Counts of each filter over clips that a person judged, and where they differ. A filter says `y` of a
    clip where it rejects one of its spans of 1 s or more."""
    counts: dict[str, Counts] = {"cuts": Counts(0, 0, 0)}
    differ: list[Disagreement] = []
    names = [clip.truth["file"] for clip in clips]
    for clip in clips:
        name = clip.truth["file"]
        if clip.rows:
            one, told = cuts(clip)
            counts["cuts"] = Counts(*(a + b for a, b in zip(counts["cuts"], one, strict=True)))
            if one.wrong or one.missed:
                differ.append(Disagreement(name, "cuts", *told))
        for column, says in said(clip, clips).items():
            if clip.truth[column] not in ("y", "n", *names):  # blank, or its copy is not here
                continue
            is_so, had = clip.truth[column] != "n", counts.get(column, Counts(0, 0, 0))
            counts[column] = Counts(
                had.hits + (is_so and says),
                had.wrong + (says and not is_so),
                had.missed + (is_so and not says),
            )
            if is_so != says:
                differ.append(Disagreement(name, column, clip.truth[column], "y" if says else "n"))
    return counts, differ


def said(clip: Clip, clips: list[Clip]) -> dict[str, bool]:
    """What curation says of a clip, by column of the table; nothing where no span is long enough."""
    measured = [why for row, why in zip(clip.rows, clip.reasons, strict=True) if row["usable"]]
    if not measured:
        return {}
    others = {row["duplicate_group"] for other in clips if other is not clip for row in other.rows} - {None}
    copied = any(row["duplicate_group"] in others for row in clip.rows)
    return {
        **{column: any(rule in why for why in measured) for column, rule in RULES.items()},
        "copy": copied,
    }


def cuts(clip: Clip) -> tuple[Counts, tuple[str, str]]:
    """Cuts of one clip that are found within `NEAR` frames, and both lists as text."""
    true = [int(word) for word in clip.truth["cuts"].split() if word != "x"]
    found, total, shot = [], 0, 0
    for row in sorted(clip.rows, key=lambda row: row["start"]):
        if row["shot"] != shot:
            found.append(total)
        total, shot = total + row["frames"], row["shot"]
    hits = sum(any(abs(cut - one) <= NEAR for one in found) for cut in true)
    wrong = sum(all(abs(cut - one) > NEAR for cut in true) for one in found)
    shown = clip.truth["cuts"] or "none", " ".join(map(str, found)) or "none"
    return Counts(hits, 0 if "x" in clip.truth["cuts"] else wrong, len(true) - hits), shown


def cameras(clips: list[Clip]) -> list[tuple[str, str, str]]:
    """File, motion by eye and motion by curation of the longest span, of clips of one shot."""
    found = []
    for clip in clips:
        measured = [row for row in clip.rows if row["usable"] and row["camera_motion"]]
        if clip.truth["camera"] and measured:
            longest = max(measured, key=lambda row: row["seconds"])
            found.append((clip.truth["file"], clip.truth["camera"], longest["camera_motion"]))
    return found


def show(clips: list[Clip]) -> None:
    """Precision and recall of each filter, each disagreement, and camera motion."""
    counts, differ = compare(clips)
    shown = Table(
        "filter", "precision", "recall", "found", "wrongly", "missed", title=f"{len(clips)} real clips"
    )
    for name, one in counts.items():
        precision = f"{one.precision:.3f}" if one.hits + one.wrong else "-"
        recall = f"{one.recall:.3f}" if one.hits + one.missed else "-"
        shown.add_row(name, precision, recall, *map(str, one))
    told = Table("file", "what", "by eye", "by curation", title="where they differ")
    for one in differ:
        told.add_row(*one)
    seen = cameras(clips)
    for file, eye, said in seen:
        if eye != said:
            told.add_row(file, "camera", eye, said)
    console = Console(width=120, file=sys.stdout)
    console.print(shown)
    console.print(told)
    console.print(f"camera motion: {sum(eye == said for _, eye, said in seen)} of {len(seen)} as by eye")


def main() -> int:
    """Curate the clips of a folder and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--media", type=Path, required=True, help="the folder of the table's clips")
    options = parser.parse_args()
    truth = read_table(options.media)
    with tempfile.TemporaryDirectory() as folder:
        show(curate(options.media, truth, Path(folder)))
    return 0


if __name__ == "__main__":
    command(main)
