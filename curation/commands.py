"""The verbs of `python -m curation.run`: what each does and what it prints."""

import sys
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from console import UserError
from curation import pipeline
from curation.clip import COLUMNS
from curation.config import TABLE_STAGES, Config, check_stage, load
from curation.graph import Graph
from curation.lock import locked
from curation.rules import read_subset
from curation.select import Verdicts
from curation.shardset import sets_in
from curation.shardset import verify as verify_set


def settings(options: Namespace) -> Config:
    """The config that the command line asks for."""
    changes = {"input": options.input, "out": options.out, "subset": options.subset}
    changes["workers"] = getattr(options, "workers", None)
    changes["mlflow"] = False if getattr(options, "no_mlflow", False) else None
    return load(options.config, changes, options.changes)


def run(options: Namespace) -> int:
    """Run what is due, up to a stage or all."""
    stage = check_stage(options.stage) if options.stage else "shards"
    config = settings(options)
    pipeline.survey(config)  # faults of the input before anything is created
    with locked(Path(config.out)), pipeline.pool_of(config) as engine:
        if stage in TABLE_STAGES:
            pipeline.run_tables(config, stage, engine)
            print(f"{stage}: up to date in {config.work}", file=sys.stderr)
            return 0
        outcome = pipeline.run_all(config, engine)
        print_funnel(outcome.verdicts, len(outcome.clips))
        from curation.report import write_report

        report = write_report(config, outcome)
        print(f"Report: {report}", file=sys.stderr)
        if config.mlflow:
            from curation.tracking import log_run

            log_run(config, outcome, report)
    return 0


def plan(options: Namespace) -> int:
    """Say what would run, why, and what it cost before."""
    config = settings(options)
    graph = pipeline.survey(config)
    shown = Table("stage", "units to do", "why", "CPU-seconds (estimate)")
    for name, node in graph.nodes.items():
        missing, total = len(node.missing), len(graph.units)
        shown.add_row(name, f"{missing}/{total}", _why(config, graph, name), _estimate(config, graph, name))
    Console().print(shown)
    return 0


def select(options: Namespace) -> int:
    """The funnel of a subset over the stored scores."""
    config = settings(options)
    clips, verdicts = pipeline.judge(_measured(config), read_subset(config.subset))
    print_funnel(verdicts, len(clips))
    return 0


def explain(options: Namespace) -> int:
    """Every score of a clip, and what each rule says of it."""
    config = settings(options)
    clips, verdicts = pipeline.judge(_measured(config), read_subset(config.subset))
    ids = clips.column("clip_id").to_pylist()
    rows = [k for k, name in enumerate(ids) if name and name.startswith(options.clip_id)]
    if not rows:
        raise UserError(f"There is no clip {options.clip_id!r} among the {len(ids)} of {config.work}.")
    for k in rows:
        row = clips.slice(k, 1).to_pylist()[0]
        shown = Table("column", "value", "meaning", title=f"{row['clip_id']} ({row['source']})")
        for name, value in row.items():
            if value is not None:
                meaning = COLUMNS[name].meaning if name in COLUMNS else "why the stage has no result"
                shown.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value), meaning)
        Console().print(shown)
        rules = Table("rule", "verdict", "says", title=f"subset {verdicts.subset.name}")
        for rule, failing in zip(verdicts.subset.rules, verdicts.fails[:, k], strict=True):
            rules.add_row(rule.name, "rejects" if failing else "passes", rule.says())
        Console().print(rules)
        print("kept" if verdicts.kept[k] else f"rejected: {', '.join(verdicts.reasons(k))}")
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


def print_funnel(verdicts: Verdicts, total: int) -> None:
    """What each rule left, in order, and what it costs alone."""
    shown = Table(
        "rule", "says", "left", "% left", "rejects", "only it rejects", title=f"subset {verdicts.subset.name}"
    )
    shown.add_row("all spans", "", str(total), "100.0", "", "")
    for step in verdicts.funnel:
        share = f"{100 * step.left / max(total, 1):.1f}"
        shown.add_row(step.rule, step.says, str(step.left), share, str(step.rejected), str(step.alone))
    Console().print(shown)


def _measured(config: Config) -> Graph:
    graph = pipeline.survey(config)
    if graph.nodes["split"].missing:
        raise UserError(
            f"There are no scores in {config.work} for these settings. Run first: python -m curation.run"
        )
    for name, node in graph.nodes.items():
        if node.missing:
            print(f"warning: {name} is not complete; its scores are empty here", file=sys.stderr)
    return graph


def _why(config: Config, graph: Graph, name: str) -> str:
    node = graph.nodes[name]
    if not node.missing:
        return "up to date"
    if stale := [parent for parent in node.columns if graph.nodes[parent].missing]:
        return f"stands on {', '.join(stale)}"
    others = [path for path in config.work.glob(f"{name}-*") if path != node.folder.path and path.is_dir()]
    if len(node.missing) < len(graph.units):
        return "some units are missing: new or changed files, or a run that was stopped"
    return "results are there for other settings, models, code or parents" if others else "never ran"


def _estimate(config: Config, graph: Graph, name: str) -> str:
    """From the cost per row of any result of this stage that is there."""
    import json

    rows = cost = 0.0
    for path in config.work.glob(f"{name}-*/part-*.json"):
        try:
            note = json.loads(path.read_text())
        except ValueError:
            continue
        rows, cost = rows + note.get("rows", 0), cost + note.get("cpu_seconds", 0.0)
    if not graph.nodes[name].missing:
        return "0"
    if not rows:
        return "unknown"
    due = set(graph.nodes[name].missing)
    files = sum(len(unit.files) for unit in graph.units if unit.name in due)
    return f"{cost / rows * files:.0f}"
