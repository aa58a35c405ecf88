"""The jobs of the table stages: rows of one unit through the stages that are due, or all rows at once for a
barrier."""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from console.errors import SYSTEM_ERRORS
from curation.cascade import turned_away
from curation.clip import error_column, schema, skipped_column
from curation.engine.job import OPENING, Beat, Skip
from curation.footage import Observer, Watched, watch
from curation.manifest import Folder, join, table_of
from curation.memory import at_most
from curation.sources.library import Library
from curation.stage import (
    BarrierStage,
    FanOutStage,
    FootageStage,
    HaltError,
    Metered,
    Row,
    RowStage,
    Stage,
    gates_of,
)

FOOTAGE_READS = (
    "source",
    "start_pts",
    "end_pts",
    "usable",
)  # what every stage on frames needs beside its own columns

_opened: dict[tuple[Any, Path], Any] = {}  # of this worker process: models are loaded once


@dataclass(frozen=True)
class Inputs:
    """Where the columns of one unit lie."""

    parts: Mapping[str, Path]
    columns: Mapping[str, Sequence[str]]

    def read(self) -> pa.Table:
        return join(self.parts, self.columns)


@dataclass(frozen=True)
class RowsJob:
    """One unit through one stage, or through several FootageStages that share its decode."""

    unit: str
    library: Library
    stages: tuple[Stage, ...]
    folders: Mapping[str, Folder]
    inputs: Inputs | None = None
    rows: tuple[Row, ...] = field(default=(), repr=False)
    "In place of inputs, for ingest: there is no table before it"

    @property
    def key(self) -> str:
        return f"{'+'.join(self.kinds)} {self.unit}"

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages)

    def run(self, beat: Beat, skip: Skip) -> dict[str, Any]:
        beat(OPENING)
        rows = self.inputs.read().to_pylist() if self.inputs else list(self.rows)
        work = {FootageStage: _footage, FanOutStage: _fan_out, RowStage: _each}
        kind = next(kind for kind in work if isinstance(self.stages[0], kind))
        results, costs = work[kind](self, rows, beat, skip)
        for stage in self.stages:
            adds = stage.adds
            table = table_of(results[stage.name], schema(adds, stage.name))
            errors = sum(row.get(error_column(stage.name)) is not None for row in results[stage.name])
            statistics = {"rows": len(rows), "errors": errors, **costs[stage.name]}
            self.folders[stage.name].write(self.unit, table, statistics)
        return {"rows": len(rows)}


@dataclass(frozen=True)
class BarrierJob:
    """All units of a stage that must see every row; its folder gets one part for each of them."""

    stage: BarrierStage
    root: Path
    folder: Folder
    inputs: Mapping[str, Inputs]
    "By unit, in the order of the listing"

    @property
    def key(self) -> str:
        return self.stage.name

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.stage.name,)

    def run(self, beat: Beat, skip: Skip) -> dict[str, Any]:
        beat(OPENING)
        clock = _Clock()
        tables = [inputs.read() for inputs in self.inputs.values()]
        added = self.stage.open(self.root)(pa.concat_tables(tables))
        added = added.append_column(error_column(self.stage.name), pa.nulls(len(added), pa.string()))
        costs, first = clock.read(), 0
        for unit, table in zip(self.inputs, tables, strict=True):
            share = {name: value * len(table) / max(len(added), 1) for name, value in costs.items()}
            part = added.slice(first, len(table)).combine_chunks()
            self.folder.write(unit, part, {"rows": len(table), "errors": 0, **share})
            first += len(table)
        return {"rows": len(added)}


def opened(stage: Any, root: Path) -> Callable:
    """What `stage.open` gave in this process."""
    key = (stage, root)
    if key not in _opened:
        _opened[key] = stage.open(root)
    return _opened[key]


Results = tuple[dict[str, list[Row]], dict[str, dict[str, Any]]]


def _each(job: RowsJob, rows: list[Row], beat: Beat, skip: Skip) -> Results:
    (stage,) = job.stages
    work, clock = opened(stage, job.library.folder), _Clock()
    with_file = lending(job.library, work) if stage.opens_files() else work
    if isinstance(work, Metered):
        work.spent()  # of a unit that was stopped: its answers are counted when they are used
    results = []
    for k, row in enumerate(rows):
        beat(k)
        if reason := turned_away(gates_of(stage), row):
            results.append({skipped_column(stage.name): reason})
            continue
        result, error = (None, skip[k]) if k in skip else guarded(with_file, row)
        kept = {name: row[name] for name in stage.adds if name in row}  # ingest: the name, even if broken
        results.append({**(result or {}), **kept, error_column(stage.name): error})
    more = work.spent() if isinstance(work, Metered) else {}
    return {stage.name: results}, {stage.name: {**clock.read(), **more}}


def _fan_out(job: RowsJob, rows: list[Row], beat: Beat, skip: Skip) -> Results:
    """A row that fails becomes one unusable row that carries the reason; a row that failed before becomes
    none."""
    (stage,) = job.stages
    work, clock = lending(job.library, opened(stage, job.library.folder)), _Clock()
    results = []
    for k, row in enumerate(rows):
        beat(k)
        if row[error_column("ingest")] is not None:
            continue
        if reason := turned_away(gates_of(stage), row):
            results.append({"video_row": k, "usable": False, skipped_column(stage.name): reason})
            continue
        found, error = (None, skip[k]) if k in skip else guarded(work, row)
        if error is None and not found:
            error = "no frame to take a clip from"
        results += [{**one, "video_row": k, error_column(stage.name): None} for one in found or ()]
        if error is not None:
            results.append({"video_row": k, "usable": False, error_column(stage.name): error})
    return {stage.name: results}, {stage.name: clock.read()}


def _footage(job: RowsJob, rows: list[Row], beat: Beat, skip: Skip) -> Results:
    """One decode of each clip for all stages of the job, none where the cascade spares it. What only one of
    them does is charged to it, the decode to all alike."""
    openers = {stage.name: opened(stage, job.library.folder) for stage in job.stages}
    results: dict[str, list[Row]] = {name: [] for name in openers}
    own, clock = dict.fromkeys(openers, 0.0), _Clock()
    for k, row in enumerate(rows):
        beat(k)
        spared = {stage.name: turned_away(gates_of(stage), row) for stage in job.stages}
        due = {name: make for name, make in openers.items() if row["usable"] and not spared[name]}
        if k in skip:
            measured = {name: {error_column(name): skip[k]} for name in due}
        else:
            measured = _measure(job.library, row, due, own) if due else {}
        for name in openers:
            reason = spared[name] if row["usable"] else None
            results[name].append(measured.get(name, {skipped_column(name): reason}))
    total = clock.read()
    shared = max(total["cpu_seconds"] - sum(own.values()), 0.0) / len(openers)
    costs = {
        name: {"cpu_seconds": own[name] + shared, "wall_seconds": total["wall_seconds"] / len(openers)}
        for name in openers
    }
    return results, costs


def _measure(
    library: Library, row: Row, openers: Mapping[str, Callable], own: dict[str, float]
) -> dict[str, Row]:
    observers: dict[str, list[Observer]] = {name: make(row) for name, make in openers.items()}
    everyone = [observer for group in observers.values() for observer in group]

    def show(near: Row) -> dict[Observer, Watched]:
        return watch(Path(near["source"]), near["start_pts"], near["end_pts"], everyone)

    watched, error = guarded(lending(library, show), row)
    if watched is None:
        return {name: {error_column(name): error} for name in openers}
    measured: dict[str, Row] = {}
    for name, group in observers.items():
        began = time.process_time()
        failed = next((watched[o].error for o in group if watched[o].error), None)
        result, error = (None, explain(failed)) if failed else guarded(_collect, group)
        measured[name] = {**(result or {}), error_column(name): error}
        own[name] += sum(watched[o].seconds for o in group) + time.process_time() - began
    return measured


def _collect(group: list[Observer]) -> Row:
    return {name: value for observer in group for name, value in observer.result().items()}


def lending(library: Library, work: Callable[[Row], Any]) -> Callable[[Row], Any]:
    """`work` on rows whose `source` is a path on this disk, and within the memory that a row may take. What
    is paid for by the request decodes no file of its own accord, and may load a model at its first row."""

    def borrowing(row: Row) -> Any:
        limit = 0.0 if isinstance(work, Metered) else library.handling.memory_gb
        if row.get("usable") is False:  # nothing of it will be opened
            return work(row)
        if row.get("fault"):
            raise ValueError(row["fault"])
        with ExitStack() as borrowed:
            near = {name: row[name] for name in ("source", "beside") if row.get(name)}
            near = {name: str(borrowed.enter_context(library.borrow(of))) for name, of in near.items()}
            borrowed.enter_context(at_most(limit))
            return work({**row, **near})

    return borrowing


def guarded(work: Callable[[Any], Any], argument: Any) -> tuple[Any, str | None]:
    """The result, or why there is none. What stops the machine (a full disk) or every row (a server that is
    down) is no fault of a row and goes on up."""
    try:
        return work(argument), None
    except HaltError:
        raise
    except Exception as error:  # whatever a user's file makes a library raise stands in its row
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SYSTEM_ERRORS):
            raise
        return None, explain(error)


def explain(error: Exception) -> str:
    """One line without paths of this machine, so that tables do not depend on where they were made."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


class _Clock:
    """CPU-seconds of this process and its finished children, and wall seconds, since it was made."""

    def __init__(self):
        self.cpu, self.wall = _cpu(), time.monotonic()

    def read(self) -> dict[str, float]:
        return {"cpu_seconds": _cpu() - self.cpu, "wall_seconds": time.monotonic() - self.wall}


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
