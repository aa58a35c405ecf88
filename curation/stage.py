"""The Stage contract: what a stage reads, what it adds, what its result depends on.

A stage is a frozen dataclass of settings. `open()` loads its models, once per worker process, and gives back
the function that does the work. What can change a result is in the fingerprint; resources (`resource()`
fields) are not.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from console import UserError
from curation.clip import SCHEMA_VERSION
from curation.rules import Threshold

Row = dict[str, Any]


class HaltError(UserError):
    """What no row is at fault for and every further row would meet: the run stops, and goes on later."""


class Metered(ABC):
    """Work on rows that costs more than this machine's time."""

    @abstractmethod
    def __call__(self, row: Row) -> Row:
        """The columns that the stage adds."""

    @abstractmethod
    def spent(self) -> dict[str, Any]:
        """What the rows since the last call cost, for the statistics of their unit."""


class Source(Protocol):
    """Where the files of a run are."""

    @property
    def root(self) -> Path: ...


def resource(default: Any) -> Any:
    """A field that changes how fast or where a stage runs, never its result."""
    return field(default=default, metadata={"resource": True})


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """What every kind of stage has."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    "Raised when the code gives other results from the same settings"
    reads: ClassVar[tuple[str, ...]]
    "Columns it needs; the stages that add them are its parents"
    adds: ClassVar[tuple[str, ...]]
    "Columns it adds, all described in curation.clip"
    on_demand: ClassVar[bool] = False
    "Runs only when it is named, or another stage or a rule of the subset reads its columns"

    def needs(self) -> tuple[str, ...]:
        """Columns that it reads, and those that its gates look at."""
        return tuple(dict.fromkeys((*self.reads, *(rule.score for rule in gates_of(self)))))

    def weights(self) -> dict[str, str]:
        """Hashes of the model files that it runs, by name."""
        return {}

    def check(self) -> None:
        """Raise a UserError where something is not installed that it needs; asked before it runs."""
        return None  # most stand on the dependencies alone

    def opens_files(self) -> bool:
        """Whether it reads the files themselves, which are then brought to this disk."""
        return True

    def settings(self) -> dict[str, Any]:
        """The settings that can change a result."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.metadata.get("resource")}

    def identity(self, parents: Mapping[str, str]) -> dict[str, Any]:
        """All that the result depends on, whose fingerprint names it: settings, weights, code version, table
        schema and the fingerprints of the parents."""
        return {
            "stage": self.name,
            "version": self.version,
            "schema": SCHEMA_VERSION,
            "settings": self.settings(),
            "weights": self.weights(),
            "parents": dict(parents),
        }


@dataclass(frozen=True, kw_only=True)
class Gated:
    """A stage that a cascade guards (curation.cascade)."""

    gates: tuple[Threshold, ...] = ()
    "Rules that a row must pass to be worked on, before those of the run's cascade"


def gates_of(stage: Any) -> tuple[Threshold, ...]:
    """The rules that a row must pass to be worked on."""
    return stage.gates if isinstance(stage, Gated) else ()


class RowStage(Stage):
    """One row in, one row out; every row alone."""

    @abstractmethod
    def open(self, root: Path) -> Callable[[Row], Row]:
        """Load what is needed; the result maps a row to the columns that the stage adds."""


class FanOutStage(Stage):
    """One row in, any number of rows out."""

    @abstractmethod
    def open(self, root: Path) -> Callable[[Row], list[Row]]:
        """Load what is needed; the result maps a row to new rows."""


class FootageStage(Stage):
    """Measures the frames of a clip. All such stages that are due share one decode (curation.footage)."""

    @abstractmethod
    def open(self, root: Path) -> Callable[[Row], list[Any]]:
        """Load what is needed; the result gives the observers of a row (curation.footage.Observer)."""


class BarrierStage(Stage):
    """Needs all rows of all units at once: deduplication, clustering, pairing."""

    @abstractmethod
    def open(self, root: Path) -> Callable[[pa.Table], pa.Table]:
        """Load what is needed; the result maps the whole table to the added columns, row for row."""
