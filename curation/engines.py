"""Which engine runs the units of work, and what it needs to know of this machine or cluster.

All give the same bytes, and each goes on where another was stopped: what is done is known by files alone
(decision 0028)."""

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from console import UserError
from curation.engine.attempts import Limits
from curation.engine.cluster import Cluster, OnRay, Shared
from curation.engine.pool import Pool
from curation.engine.slurm import OnSlurm
from curation.settings import suggest

if TYPE_CHECKING:
    from curation.config import Config

NAMES = ("pool", "ray", "slurm")


@dataclass(frozen=True, kw_only=True)
class Engines:
    """The section `engine` of a config."""

    name: str = "pool"
    "pool: processes of this machine; ray: actors on a Ray cluster; slurm: array jobs (curation.array)"
    ray: OnRay = field(default_factory=OnRay)
    slurm: OnSlurm = field(default_factory=OnSlurm)

    def __post_init__(self):
        if self.name not in NAMES:
            raise UserError(
                f"There is no engine {self.name!r}{suggest(self.name, NAMES)}. There are: {', '.join(NAMES)}."
            )

    def check_stages(self, stages: tuple[str, ...]) -> None:
        """A UserError for resources of a stage that does not exist."""
        named = {"ray.cpus": self.ray.cpus, "ray.gpus": self.ray.gpus, "slurm.stages": self.slurm.stages}
        for key, parts in named.items():
            for name in parts:
                if name not in stages:
                    raise UserError(
                        f"engine.{key}: there is no stage {name!r}{suggest(name, stages)}. "
                        f"In order: {', '.join(stages)}."
                    )


def engine_of(config: "Config", mark: Path) -> Pool | Cluster:
    """The engine that `config` names; for slurm, whose tasks have done the work, the pool for what is left to
    see to. `mark`: the lock file of the run, which other nodes must see."""
    if config.engine.name == "ray":
        given = Path(config.input).absolute()  # an address or a pattern is no path, and needs none
        shared = Shared(given if given.exists() else None, mark.absolute(), mark.read_text())
        return Cluster(config.engine.ray, config.workers, shared, partial(limits, config))
    workers = config.workers or cores()
    return Pool(workers, limits(config, workers))


def limits(config: "Config", workers: int) -> Limits:
    """How patient an engine with that many workers is."""
    fetching = 0.0 if Path(config.input).is_dir() else config.files.fetch_seconds  # lists hold addresses, too
    return Limits(row_seconds=max(config.row_seconds, config.caption.longest(workers)) + fetching)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
