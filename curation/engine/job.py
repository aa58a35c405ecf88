"""What an engine runs: a job that can be sent to another process, run there, and run again without harm.

A job calls `beat(k)` before each of its rows, so that the engine knows which row a dead or hung worker was
on, and leaves out the rows that `skip` names, writing the reason in their place.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

OPENING = -1  # row number while models are loaded

Beat = Callable[[int], None]
Skip = Mapping[int, str]


class Job(Protocol):
    """One unit of work. `run` leaves its result on disk, whole or not at all."""

    @property
    def key(self) -> str: ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it is made of, in words that settings may give resources to."""
        ...

    def run(self, beat: Beat, skip: Skip) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Done:
    """A job that is finished, what it reported, and the rows that had to be given up, with the reasons."""

    job: Job
    report: dict[str, Any]
    quarantined: dict[int, str] = field(default_factory=dict)


class Engine(Protocol):
    """Runs jobs in any order and yields each when its result is on disk."""

    def run(self, jobs: list[Job]) -> Iterator[Done]: ...

    def close(self) -> None: ...
