"""A curation run as chained array jobs: the steps, the share of one task, and the wait for all.

Units of work are known from the listing, so all steps are submitted at once; which tars there are is known
only after the verdicts, so the tasks of the last step find them out. A task reads the settings that
the run froze.
"""

import dataclasses
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from console import UserError, track
from curation import pipeline
from curation.config import Config
from curation.engine.job import Job
from curation.engine.pool import Pool
from curation.engine.slurm import Slurm, Step
from curation.engines import cores, limits
from curation.graph import Graph, groups, jobs
from curation.manifest import sweep
from curation.rules import read_subset
from curation.stage import BarrierStage
from curation.units import RowsJob
from storage import plain, write_text

FOLDER = "slurm"  # in the output folder
FROZEN = "config.yaml"
SHARDS = "shards"


def run(config: Config, upto: str | None) -> bool:
    """Write the scripts for what is due, submit them and wait; whether they were submitted. `upto`: the last
    table stage, None for all and the shards. A UserError where work is left that no task has done."""
    graph = pipeline.survey(config)
    sweep(config.work)
    names = graph.needed(upto) if upto else graph.whole()
    pipeline.ready(config, graph, names)
    folder = Path(config.out) / FOLDER
    slurm = Slurm(config.engine.slurm, folder, Path.cwd())
    write_text(folder / FROZEN, freeze(config))
    command = (sys.executable, "-m", "curation.run")
    frozen = ("-c", str((folder / FROZEN).absolute()))
    due = [
        Step(stages, tasks, (*command, "task", *frozen, "--step", "+".join(stages)))
        for stages, tasks in steps(config, graph, names, upto is None)
    ]
    scripts = slurm.write(due, (*command, "run", *frozen, *(("--stage", upto) if upto else ())))
    if not config.engine.slurm.submit:
        print(f"Wrote {len(scripts)} array scripts; submit them: sh {folder / 'submit.sh'}", file=sys.stderr)
        return False
    well = slurm.run(scripts) if scripts else True
    _check(config, graph, names, folder, well)
    return True


def steps(
    config: Config, graph: Graph, names: list[str], shards: bool
) -> Iterable[tuple[tuple[str, ...], int]]:
    """The stages of each step that is due and its number of tasks."""
    most, due = config.engine.slurm.tasks, False
    for group in groups(graph, names):
        missing = {unit for name in group for unit in graph.nodes[name].missing}
        if missing:
            due = True
            alone = isinstance(graph.nodes[group[0]].stage, BarrierStage)
            yield tuple(group), 1 if alone else min(most, len(missing))
    if shards and due:  # how many tars there will be nobody knows yet
        yield (SHARDS,), most
    elif shards and (left := _tars(config, graph, 0, 1)):
        yield (SHARDS,), min(most, len(left))


def freeze(config: Config) -> str:
    """`config` as YAML that gives it back, for tasks, which work as pools."""
    here = dataclasses.replace(config, engine=dataclasses.replace(config.engine, name="pool"))
    return yaml.safe_dump(plain(dataclasses.asdict(here)), sort_keys=False, allow_unicode=True)


def work(config: Config, step: str, share: str) -> int:
    """Do the share `k/n` of a step: every n-th unit from the k-th on, from 0; how many jobs it was."""
    part, parts = read_share(share)
    graph = pipeline.survey(config)
    stages = step.split("+")
    due = _tars(config, graph, part, parts) if stages == [SHARDS] else _units(graph, stages, part, parts)
    workers = config.workers or int(os.environ.get("SLURM_CPUS_PER_TASK", "0")) or cores()
    with Pool(workers, limits(config, workers)) as pool:
        for done in track(pool.run(due), f"{step} {share}", total=len(due)):
            pipeline.warn(done)
    return len(due)


def read_share(text: str) -> tuple[int, int]:
    """`k/n` as numbers."""
    part, _, parts = text.partition("/")
    if part.isdigit() and parts.isdigit() and int(part) < int(parts):
        return int(part), int(parts)
    raise UserError(f"--shard-of {text}: expected K/N with K from 0 to N - 1, as 3/16.")


def _units(graph: Graph, stages: list[str], part: int, parts: int) -> list[Job]:
    for name in stages:
        if name not in graph.nodes:
            known = ", ".join([*graph.nodes, SHARDS])
            raise UserError(f"--step: there is no stage {name!r}. In order: {known}.")
    if [list(stages)] != groups(graph, stages):
        raise UserError(f"--step {'+'.join(stages)}: these stages share no decode; give one step for each.")
    alone = isinstance(graph.nodes[stages[0]].stage, BarrierStage)
    mine = {unit.name for k, unit in enumerate(graph.units) if alone or k % parts == part}
    parents = {parent for stage in stages for parent in graph.nodes[stage].columns} - {*stages}
    for name in [name for name in graph.nodes if name in parents]:
        if behind := mine & {*graph.nodes[name].missing}:
            step = "+".join(stages)
            raise UserError(f"{step} stands on {name}, which {len(behind)} units lack. Run it first.")
    pipeline.describe(graph, stages)
    if alone:  # whoever is the first of a step that all think to be theirs does it
        return jobs(graph, stages) if part == 0 else []
    return [job for job in jobs(graph, stages) if isinstance(job, RowsJob) and job.unit in mine]


def _tars(config: Config, graph: Graph, part: int, parts: int) -> list[Job]:
    for name in graph.whole():
        if behind := len(graph.nodes[name].missing):
            raise UserError(f"shards stand on {name}, which {behind} units lack. Run it first.")
    clips, verdicts = pipeline.judge(graph, read_subset(config.subset))
    tars = pipeline.tars_of(config, graph, clips, verdicts)
    return pipeline.tar_jobs(config, graph, tars[part::parts])


def _check(config: Config, graph: Graph, names: list[str], folder: Path, well: bool) -> None:
    graph = pipeline.survey_again(config, graph)
    for name in names:
        if left := len(graph.nodes[name].missing):
            raise UserError(
                f"{name}: {left} of {len(graph.units)} units are not done. See {folder / 'logs'}; "
                "the same command again goes on from there."
            )
    if not well:
        raise UserError(
            f"A task of the last step failed. See {folder / 'logs'}; the same command again goes on from "
            "there."
        )
