"""The verbs of `python -m curation.run`: what each does and what it prints."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from console import Board, UserError
from console.board import Listener
from curation import array, neighbours, pairing, pipeline, planning, table
from curation.config import TABLE_STAGES, Config, check_stage, load
from curation.engine.job import Engine
from curation.engines import engine_of
from curation.funnel import print_clip, print_funnel
from curation.lock import joined, locked
from curation.pairing import pair
from curation.retry import forget
from curation.rules import SKIPPED, read_subset
from curation.select import columns_of
from curation.select import select as judge
from curation.shardset import sets_in
from curation.shardset import verify as verify_set
from curation.stage import Row
from storage import atomic_path

NAMES = ["clip_id", "source", SKIPPED]  # what a funnel needs beside the columns of its rules


def settings(options: Namespace) -> Config:
    """The config that the command line asks for."""
    changes = {"input": options.input, "out": options.out, "subset": options.subset}
    changes["workers"] = getattr(options, "workers", None)
    chosen = getattr(options, "engine", None)
    assignments = [*options.changes, *([f"engine.name={chosen}"] if chosen else [])]
    changes["mlflow"] = False if getattr(options, "no_mlflow", False) else None
    return load(options.config, changes, assignments)


def run(options: Namespace) -> int:
    """Run what is due, up to a stage or all."""
    stage = check_stage(options.stage) if options.stage else "shards"
    config = settings(options)
    pipeline.survey(config)  # faults of the input before anything is created
    slurm = config.engine.name == "slurm"
    with locked(Path(config.out), alone=not slurm) as mark, engine_of(config, mark) as engine:
        if options.retry:
            again = forget(pipeline.survey(config), Path(config.out), options.retry)
            print(f"{again} units of work with what had failed ({options.retry}): once more", file=sys.stderr)
        if slurm and not array.run(config, stage if stage in TABLE_STAGES else None):
            return 0
        if stage in TABLE_STAGES:
            with Board() as board:
                pipeline.run_tables(config, stage, engine, board)
            print(f"{stage}: up to date in {config.work}", file=sys.stderr)
            return 0
        if not config.mlflow:
            _whole(config, engine, [])
            return 0
        from curation.tracking import tracked

        with tracked(config) as tracker:
            tracker.finish(*_whole(config, engine, [tracker.listen]))
    return 0


def _whole(config: Config, engine: Engine, listeners: list[Listener]) -> tuple[pipeline.Outcome, Path]:
    """All stages, the funnel and the report."""
    with Board(listeners) as board:
        outcome = pipeline.run_all(config, engine, board)
    print_funnel(outcome.verdicts, len(outcome.clips))
    from curation.report import write_report

    report = write_report(config, outcome)
    print(f"Report: {report}", file=sys.stderr)
    return outcome, report


def task(options: Namespace) -> int:
    """One task of an array job: its share of a step."""
    config = settings(options)
    with joined(Path(config.out)):
        done = array.work(config, options.step, options.shard_of)
    print(f"{options.step}: {done} units of the share {options.shard_of} done", file=sys.stderr)
    return 0


def plan(options: Namespace) -> int:
    """Say what would run, why, and what it will cost by what was done before."""
    config = settings(options)
    shown = Table("stage", "units to do", "why", "CPU-seconds", "GB")
    lines = planning.plan(pipeline.survey(config), config.work)
    for line in lines:
        costs = ["unknown" if cost is None else f"{cost:.3g}" for cost in (line.cpu_seconds, line.gigabytes)]
        shown.add_row(line.stage, f"{line.missing}/{line.total}", line.why, *costs)
    known = [line for line in lines if line.cpu_seconds is not None]
    shown.add_section()
    shown.add_row(
        "all" if len(known) == len(lines) else "all that is known", "", "",
        f"{sum(line.cpu_seconds or 0.0 for line in known):.3g}",
        f"{sum(line.gigabytes or 0.0 for line in known):.3g}",
    )  # fmt: skip
    Console().print(shown)
    return 0


def select(options: Namespace) -> int:
    """The funnel of a subset over the stored scores."""
    config = settings(options)
    subset = read_subset(config.subset)
    clips = _scores(config, options.table, [*columns_of(subset.rules), *NAMES])
    print_funnel(judge(clips, subset), len(clips))
    return 0


def explain(options: Namespace) -> int:
    """Every score of a clip, and what each rule says of it."""
    config = settings(options)
    subset = read_subset(config.subset)
    clips = _scores(config, options.table, None)
    found = pc.call_function(
        "starts_with", [clips.column("clip_id")], pc.MatchSubstringOptions(options.clip_id)
    )
    found = found.fill_null(False).to_numpy()
    if not found.any():
        where = options.table or config.work
        raise UserError(f"There is no clip {options.clip_id!r} among the {len(clips)} of {where}.")
    verdicts = judge(clips, subset)
    for row in np.flatnonzero(found):
        print_clip(clips, verdicts, int(row))
    return 0


def pairs(options: Namespace) -> int:
    """Pair the kept clips that show one person; a table in the output folder."""
    config = settings(options)
    graph, subset = pipeline.survey(config), read_subset(config.subset)
    if any(graph.nodes[name].missing for name in ("split", "faces")):
        raise UserError(f"There are no faces in {config.work} for these settings. Run first: --stage faces")
    kept = judge(_scores(config, None, [*columns_of(subset.rules), *NAMES]), subset).kept
    clips = table.load(graph, pairing.COLUMNS).filter(pa.array(kept)).to_pylist()
    found = pair(clips, config.pairs, config.shards.val_fraction)
    if options.generated:
        found = pa.concat_tables([found, _generated(config, clips, options.generated)])
    path = Path(config.out) / pairing.FILE
    with atomic_path(path) as temporary:
        pq.write_table(found, temporary, compression="zstd")
    paired = len(found.column("clip_id").unique())
    print(f"{path}: {len(found)} pairs; {paired} of {kept.sum()} kept clips have a reference")
    return 0


def _generated(config: Config, clips: list[Row], folder: Path) -> pa.Table:
    """The pairs with the pictures of a folder, and a line on those that are dropped."""
    from curation.synthetic import looker, synthetic_pairs

    found = synthetic_pairs(folder, clips, looker(*config.faces.models()), config.pairs.generated)
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(found.dropped.items())) or "none"
    print(f"{folder}: {len(found.rows)} pictures kept; dropped: {why}")
    return pairing.generated(clips, found.rows, config.shards.val_fraction)


def nearest(options: Namespace) -> int:
    """The clips nearest to seeds, of those that the subset keeps; a table in the output folder."""
    config = settings(options)
    graph, subset = pipeline.survey(config), read_subset(config.subset)
    if any(graph.nodes[name].missing for name in ("split", "embed")):
        raise UserError(f"Not all clips are embedded in {config.work}. Run first: --stage embed")
    if options.each < 1:
        raise UserError(f"--each is {options.each}; give at least 1.")
    kept = judge(_scores(config, None, [*columns_of(subset.rules), *NAMES]), subset).kept
    clips = table.load(graph, neighbours.COLUMNS)
    seeds = neighbours.seeds_of(options.seeds, clips, lambda path: neighbours.embedder(config.embed)(path))
    found = neighbours.neighbours(seeds, clips.filter(pa.array(kept)), options.each)
    path = Path(config.out) / neighbours.FILE
    with atomic_path(path) as temporary:
        pq.write_table(found, temporary, compression="zstd")
    chosen = len(found.column("clip_id").unique())
    among = f"among the {options.each} nearest of {len(seeds)} seeds"
    print(f"{path}: {chosen} of {kept.sum()} kept clips are {among}")
    return 0


def verify(options: Namespace) -> int:
    """Check the sets of shards in a folder; exit code 1 where one is not whole."""
    bad = 0
    for folder in sets_in(options.folder):
        faults = verify_set(folder)
        bad += len(faults)
        print(f"{folder}: {'whole' if not faults else f'{len(faults)} faults'}")
        for fault in faults:
            print(f"  {fault}")
    return 1 if bad else 0


def _scores(config: Config, path: Path | None, columns: list[str] | None) -> pa.Table:
    """The score table of a file, or of the run in `config.out`; all columns for None."""
    if path is not None:
        return table.read(path, columns)
    graph = pipeline.survey(config)
    if graph.nodes["split"].missing:
        raise UserError(
            f"There are no scores in {config.work} for these settings. Run first: python -m curation.run"
        )
    for name in graph.whole():
        if graph.nodes[name].missing:
            print(f"warning: {name} is not complete; its scores are empty here", file=sys.stderr)
    return table.stored(graph, Path(config.out), columns)
