"""A run from the listing to the published shards: what is due, in which order, and what is told about it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from console import Board, UserError
from curation import table, tally
from curation.clip import PLANNED
from curation.config import Config
from curation.engine.job import Done, Engine, Job
from curation.face_references import locate, only
from curation.graph import Graph, build, groups, jobs
from curation.listing import cut_units
from curation.manifest import sweep
from curation.packing import TarJob, finished, shard_sets
from curation.rules import Subset, read_subset
from curation.select import Verdicts, columns_of, select
from curation.shardset import publish
from curation.sources.catalogue import catalogue
from curation.sources.library import Library
from curation.stage import BarrierStage
from curation.stages.shards import SPLITS, Tar, plan

WHERE = "shards"


@dataclass(frozen=True)
class Outcome:
    """What a whole run came to."""

    graph: Graph
    clips: pa.Table
    verdicts: Verdicts
    tars: tuple[Tar, ...]
    encode_errors: dict[str, str]
    cpu_seconds: dict[str, float]
    "Of all units that the results stand on, whenever they were worked on"


def survey(config: Config) -> Graph:
    """The graph of `config` over the files that are there now."""
    copies = config.work.absolute() / "files"
    found = catalogue(config.input, config.files, copies)
    library = Library(found.folder, copies, config.files)
    library.cache.drop_stale(found.marks)
    units = cut_units(found.items, config.unit)
    return build(library, config.work.absolute(), units, config.stages(), _wanted(config))


def run_tables(config: Config, upto: str | None, engine: Engine, board: Board | None = None) -> Graph:
    """Bring the results of the stage `upto` and of all upstream of it up to date; those of all table stages
    for None. `board` shows how far they are."""
    board = board or Board()
    sweep(config.work)
    graph = survey(config)
    names = graph.needed(upto) if upto else graph.whole()
    print(f"{sum(len(unit.files) for unit in graph.units)} files in {config.input}", file=sys.stderr)
    behind = [name for name in names if graph.nodes[name].missing and name != upto]
    if upto and behind:
        print(f"Running first what {upto} stands on: {', '.join(behind)}", file=sys.stderr)
    ready(config, graph, names)
    for group in groups(graph, names):
        board.expect("+".join(group), *_extent(graph, group))
    for group in groups(graph, names):
        graph = _run_group(config, graph, group, engine, board)
    return graph


def _extent(graph: Graph, group: list[str]) -> tuple[int, int]:
    """Jobs of a group, and how many of them are done."""
    missing = {unit for name in group for unit in graph.nodes[name].missing}
    if isinstance(graph.nodes[group[0]].stage, BarrierStage):
        return 1, int(not missing)
    return len(graph.units), len(graph.units) - len(missing)


def ready(config: Config, graph: Graph, names: list[str]) -> None:
    """Fail now, not after hours, where something is lacking that the stages `names` need."""
    if "caption" in names and graph.nodes["caption"].missing:
        config.caption.ready()
    for name in names:
        if graph.nodes[name].missing:
            graph.nodes[name].stage.check()


def describe(graph: Graph, group: Iterable[str]) -> None:
    """Note beside the results of a group of stages what they are made from."""
    for name in group:
        if graph.nodes[name].missing:
            graph.nodes[name].folder.describe(graph.nodes[name].identity)


def _run_group(config: Config, graph: Graph, group: list[str], engine: Engine, board: Board) -> Graph:
    for name in group:
        missing, total = len(graph.nodes[name].missing), len(graph.units)
        state = "up to date" if not missing else f"done, {missing} to do"
        board.say(f"{name}: {total - missing}/{total} units {state}")
    due = jobs(graph, group)
    if not due:
        return graph
    describe(graph, group)
    rules, label = read_subset(config.subset).rules, "+".join(group)
    board.expect(label, *_extent(graph, group))
    for done in board.follow(engine.run(due), label, partial(tally.count, graph, group, rules)):
        warn(done)
    return survey_again(config, graph)


def survey_again(config: Config, graph: Graph) -> Graph:
    """The same files, with what is there now."""
    return build(graph.library, config.work.absolute(), list(graph.units), config.stages(), _wanted(config))


def _wanted(config: Config) -> list[str]:
    """The columns that the rules of the subset are on."""
    return columns_of(read_subset(config.subset).rules)


def run_all(config: Config, engine: Engine, board: Board | None = None) -> Outcome:
    """All table stages, the verdicts and the shards."""
    board, subset = board or Board(), read_subset(config.subset)
    graph = run_tables(config, None, engine, board)
    table.store(graph, Path(config.out))
    clips, verdicts = judge(graph, subset)
    tars, notes = run_shards(config, graph, (clips, verdicts), engine, board)
    errors = {clip: error for note in notes.values() for clip, error in note["errors"].items()}
    return Outcome(graph, clips, verdicts, tuple(tars), errors, _costs(graph, notes))


def judge(graph: Graph, subset: Subset) -> tuple[pa.Table, Verdicts]:
    """The score table and what `subset` says of it."""
    clips = table.load(graph, [*table.score_columns(graph), *PLANNED])
    return clips, select(clips, subset)


def tars_of(config: Config, graph: Graph, clips: pa.Table, verdicts: Verdicts) -> list[Tar]:
    """The shards that the clips which are kept make up."""
    lineage = {
        "subset": verdicts.subset.name,
        **{name: graph.nodes[name].fingerprint for name in graph.whole()},
    }
    kept = clips.filter(pa.array(verdicts.kept)).to_pylist()
    if not kept:
        raise UserError(_nothing_kept(config, graph, clips, verdicts))
    return plan(kept, config.shards, lineage)


def tar_jobs(config: Config, graph: Graph, tars: list[Tar]) -> list[Job]:
    """What is to do for `tars`."""
    (config.work / WHERE).mkdir(parents=True, exist_ok=True)
    due = [tar for tar in tars if finished(config.work, tar) is None]
    faces = locate(graph, [row["clip_id"] for tar in due for row in tar.rows]) if due else {}
    return [
        TarJob(tar, config.shards, graph.library, config.work.absolute(), only(faces, tar.rows))
        for tar in due
    ]


def run_shards(
    config: Config, graph: Graph, judged: tuple[pa.Table, Verdicts], engine: Engine, board: Board
) -> tuple[list[Tar], dict[str, dict]]:
    """Write the tars of the clips that are kept and publish them; the tars and what is known of each."""
    tars = tars_of(config, graph, *judged)
    due = tar_jobs(config, graph, tars)
    state = "up to date" if not due else f"done, {len(due)} to do"
    board.say(f"{WHERE}: {len(tars) - len(due)}/{len(tars)} units {state}")
    board.expect(WHERE, len(tars), len(tars) - len(due))
    if due:
        for done in board.follow(engine.run(due), WHERE, partial(tally.count, graph, [WHERE], ())):
            warn(done)
    notes = {tar.name: note for tar in tars if (note := finished(config.work, tar))}
    sets = shard_sets(config.work, tars, notes)
    if publish(Path(config.out) / "shards", sets):
        counts = ", ".join(f"{split} {sum(shard.samples for _, shard in sets[split])}" for split in SPLITS)
        print(f"Published {Path(config.out) / 'shards'}: {counts} clips", file=sys.stderr)
    return tars, notes


def _nothing_kept(config: Config, graph: Graph, clips: pa.Table, verdicts: Verdicts) -> str:
    """Why there is nothing to write: no file that can be read, or a rule."""
    if len(clips):
        worst = max(verdicts.funnel, key=lambda step: step.rejected)
        return (
            f"No clip passed the subset {verdicts.subset.name!r}: of {len(clips)}, the rule {worst.rule!r} "
            f"({worst.says}) rejected {worst.rejected}. Choose other rules with subset, or see: "
            "python -m curation.run select"
        )
    files = table.files(graph).to_pylist()
    broken = [f"  {row['source']}: {row['ingest_error']}" for row in files if row["ingest_error"]]
    more = f"\n  and {len(broken) - 5} more" if len(broken) > 5 else ""
    return (
        f"No clip in {len(files)} files of {config.input}; {len(broken)} cannot be read:\n"
        + "\n".join(broken[:5])
        + f"{more}\nRepair or replace them, or give another input."
    )


def warn(done: Done) -> None:
    """Say which rows were given up."""
    for row, reason in done.quarantined.items():
        print(f"warning: {done.job.key}, row {row}: {reason}", file=sys.stderr)


def _costs(graph: Graph, notes: dict[str, dict]) -> dict[str, float]:
    costs = {
        name: sum(node.folder.statistics(unit.name).get("cpu_seconds", 0.0) for unit in graph.units)
        for name, node in graph.nodes.items()
    }
    return {**costs, WHERE: sum(note.get("cpu_seconds", 0.0) for note in notes.values())}
