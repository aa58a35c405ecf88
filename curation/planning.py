"""What a run would do and why: which results are missing or stale, which setting changed, and what the work
will cost by the statistics of work that is done."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from curation.graph import Graph, Node
from curation.manifest import IDENTITY


class Line(NamedTuple):
    """One stage of the plan; costs are None where nothing like it was ever run."""

    stage: str
    missing: int
    total: int
    why: str
    cpu_seconds: float | None
    gigabytes: float | None


class Cost(NamedTuple):
    """Of one row that goes into a stage."""

    cpu_seconds: float
    bytes: float
    rows_out: float


def plan(graph: Graph, work: Path) -> list[Line]:
    """The stages in order."""
    costs = {name: cost_of(work, name) for name in graph.nodes}
    whole = graph.whole()
    lines = []
    for name, node in graph.nodes.items():
        if name not in whole:
            lines.append(
                Line(
                    name,
                    0,
                    len(graph.units),
                    "nobody asks for it (no rule of the cascade or the subset)",
                    0.0,
                    0.0,
                )
            )
            continue
        cost, rows = costs[name], _rows_due(graph, node, costs)
        if not node.missing:
            seconds = gigabytes = 0.0
        elif cost is None or rows is None:
            seconds = gigabytes = None
        else:
            seconds, gigabytes = rows * cost.cpu_seconds, rows * cost.bytes / 1e9
        lines.append(
            Line(name, len(node.missing), len(graph.units), why(graph, work, node), seconds, gigabytes)
        )
    return lines


def why(graph: Graph, work: Path, node: Node) -> str:
    """Why a stage has something to do."""
    if not node.missing:
        return "up to date"
    if len(node.missing) < len(graph.units):
        return f"{len(node.missing)} units are missing: new or changed files, or a run that was stopped"
    old = _latest(work, node)
    if old is None:
        return "never ran"
    changed = list(differences(old, node.identity))
    return "; ".join(changed) or "new or changed files"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What makes two results of a stage two, in words."""
    settings = [(key, old["settings"].get(key), new["settings"].get(key)) for key in
                sorted({*old["settings"], *new["settings"]})]  # fmt: skip
    yield from (f"{key}: {_text(was)} -> {_text(now)}" for key, was, now in settings if was != now)
    if old["version"] != new["version"] or old["schema"] != new["schema"]:
        yield "the code of the stage changed"
    weights = {*old["weights"].items()} ^ {*new["weights"].items()}
    if weights:
        yield f"other weights: {', '.join(sorted({key for key, _ in weights}))}"
    parents = {key for key, _ in {*old["parents"].items()} ^ {*new["parents"].items()}}
    if parents - {"units"}:
        yield f"stands on {', '.join(sorted(parents - {'units'}))}, which changed"
    elif parents:
        yield "needs all units, and there are other ones"


def cost_of(work: Path, stage: str) -> Cost | None:
    """Mean cost of a row from all stored results of a stage, of any settings."""
    rows = seconds = size = out = 0.0
    for path in work.glob(f"{stage}-*/part-*.json"):
        try:
            note = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        rows, seconds = rows + note.get("rows", 0), seconds + note.get("cpu_seconds", 0.0)
        size, out = size + note.get("bytes", 0), out + note.get("rows_out", 0)
    return Cost(seconds / rows, size / rows, out / rows) if rows else None


def _rows_due(graph: Graph, node: Node, costs: Mapping[str, Cost | None]) -> float | None:
    """Rows that go into the missing units: files up to split, clips after it."""
    files = {unit.name: len(unit.files) for unit in graph.units}
    if node.name in ("ingest", "split"):
        return float(sum(files[unit] for unit in node.missing))
    split, per_file = graph.nodes["split"], costs["split"]
    rows = 0.0
    for unit in node.missing:
        known = split.folder.statistics(unit).get("rows_out") if unit not in split.missing else None
        if known is None and per_file is None:
            return None
        rows += known if known is not None else files[unit] * (per_file.rows_out if per_file else 0.0)
    return rows


def _latest(work: Path, node: Node) -> dict[str, Any] | None:
    """What the newest other result of a stage was made from."""
    notes = sorted(
        (path for path in work.glob(f"{node.name}-*/{IDENTITY}") if path.parent != node.folder.path),
        key=lambda path: path.stat().st_mtime,
    )
    for path in reversed(notes):
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return None


def _text(value: Any) -> str:
    return "nothing" if value in (None, [], "") else json.dumps(value)
