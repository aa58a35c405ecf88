"""Which clips a report shows, as row numbers: of a million rows as many as of a thousand."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from curation.rules import Threshold
from curation.select import Verdicts

PER_REASON = 2  # rejected examples of each rule, at most
PER_GROUP = 5  # clips of a group of near-duplicates
PER_CLUSTER = 4


class Edge(NamedTuple):
    """The clips nearest to a threshold on both sides of it."""

    rule: str
    score: str
    says: str
    inside: list[int]
    "Rows that pass, the nearest first"
    outside: list[int]


class Group(NamedTuple):
    """Clips that belong together."""

    name: str
    size: int
    rows: list[int]


def kept(verdicts: Verdicts, count: int) -> list[int]:
    """Clips that are kept, spread over the set."""
    return _spread(np.flatnonzero(verdicts.kept), count)


def rejected(verdicts: Verdicts, count: int) -> list[int]:
    """The first few rows of each first reason; none where `count` is 0."""
    if not count:
        return []
    every = np.concatenate([verdicts.fails, ~verdicts.kept[None]])
    first = np.where(verdicts.kept, -1, every.argmax(axis=0))
    return [row for k in range(len(every)) for row in np.flatnonzero(first == k)[:PER_REASON].tolist()]


def edges(clips: pa.Table, verdicts: Verdicts, count: int) -> list[Edge]:
    """For each numeric bound of a rule, the `count` clips nearest to it on either side. Only spans that can
    be shown: they have times, and the score was measured."""
    there = clips.column("start_pts").is_valid().to_numpy()
    found = []
    for rule in verdicts.subset.rules:
        if not isinstance(rule, Threshold):
            continue
        for key, bound in rule.bounds().items():
            sign, passes = rule.SIGNS[key]
            values = clips.column(rule.score).cast(pa.float64()).to_numpy()
            known = there & np.isfinite(values)
            inside = passes(values, bound)
            sides = [_nearest(np.abs(values - bound), known & side, count) for side in (inside, ~inside)]
            if any(sides):
                found.append(Edge(rule.name, rule.score, f"{sign} {bound:g}", *sides))
    return found


def duplicates(clips: pa.Table, count: int) -> list[Group]:
    """The largest groups of near-duplicates, each with its best clips first."""
    largest = _sizes(clips.column("duplicate_group"))[:count]
    members = _members(clips.column("duplicate_group"), [name for name, _ in largest])
    quality = clips.column("quality").cast(pa.float64()).to_numpy()
    ranked = {
        name: sorted(rows, key=lambda row: -np.nan_to_num(quality[row])) for name, rows in members.items()
    }
    return [Group(str(name), size, ranked[name][:PER_GROUP]) for name, size in largest]


def clusters(clips: pa.Table, count: int) -> list[Group]:
    """The largest clusters of concepts and, after them, the smallest ones."""
    sizes = _sizes(clips.column("cluster"))
    few = count // 3
    chosen = sizes if len(sizes) <= count else sizes[: count - few] + sizes[len(sizes) - few :]
    members = _members(clips.column("cluster"), [name for name, _ in chosen])
    return [Group(str(name), size, _spread(members[name], PER_CLUSTER)) for name, size in chosen]


def rows_of(clips: pa.Table, ids: Sequence[str]) -> dict[str, int]:
    """The first row of each clip that is there."""
    found: dict[str, int] = {}
    for name, rows in _members(clips.column("clip_id"), list(dict.fromkeys(ids))).items():
        if len(rows):
            found[name] = int(rows[0])
    return found


def _sizes(column: pa.ChunkedArray) -> list[tuple[Any, int]]:
    """Values with how often they come, most first, equal ones by value."""
    counts = column.drop_null().value_counts().to_pylist()
    return sorted(((one["values"], one["counts"]) for one in counts), key=lambda one: (-one[1], one[0]))


def _members(column: pa.ChunkedArray, names: list[Any]) -> dict[Any, Int[np.ndarray, " n"]]:
    """The rows of each of a few values."""
    if not names:
        return {}
    chosen = pa.array(names, column.type)
    mask = pc.call_function("is_in", [column], pc.SetLookupOptions(chosen)).to_numpy()
    rows = np.flatnonzero(mask)
    values = column.take(pa.array(rows)).to_pylist()
    found: dict[Any, list[int]] = {name: [] for name in names}
    for row, value in zip(rows.tolist(), values, strict=True):
        found[value].append(row)
    return {name: np.array(rows, dtype=np.int64) for name, rows in found.items()}


def _nearest(distance: np.ndarray, among: Bool[np.ndarray, " n"], count: int) -> list[int]:
    rows = np.flatnonzero(among)
    if len(rows) > count:
        part = np.argpartition(distance[rows], count)[:count] if count else np.zeros(0, np.int64)
        furthest = distance[rows[part]].max(initial=-1.0)
        rows = rows[
            distance[rows] <= furthest
        ]  # equal ones in the order of the rows, whatever partition does
    order = np.argsort(distance[rows], kind="stable")
    return rows[order][:count].tolist()


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """At most `count` of the rows, evenly over them."""
    if not len(rows) or not count:
        return []
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)].tolist()
