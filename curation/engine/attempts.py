"""What a death costs: one attempt of the unit that the worker was on, charged to the row.

A row that kills its worker again and again is left out, and its unit finishes without it. All engines with
workers share this, so that they give up the same rows with the same words.
"""

import sys
import traceback
from dataclasses import dataclass, field
from typing import Any

from console import UserError
from curation.engine.job import OPENING, Beat, Job, Skip

DIED = "its worker died"


@dataclass(frozen=True)
class Limits:
    """How long an engine waits for a sign and how often it tries."""

    row_seconds: float = 600.0
    "A worker that is on one row for longer is taken for hung and killed"
    opening_seconds: float = 900.0
    "The same while models are loaded, or where all rows are worked on at once"
    attempts: int = 2
    "Deaths on one row after which the row is given up; deaths while opening after which the run is"

    def patience(self, row: int) -> float:
        """Seconds that a worker may give no sign while it is on `row`."""
        return self.opening_seconds if row == OPENING else self.row_seconds

    def silence(self, row: int) -> str:
        """What is said of a worker that gave none."""
        return f"its worker gave no sign for {self.patience(row):g} s"


@dataclass
class Task:
    """A job with what it cost so far."""

    job: Job
    skip: dict[int, str] = field(default_factory=dict)
    "Rows that are given up, with the reasons; they stand in the tables, and so name no machine and no signal"
    deaths: dict[int, int] = field(default_factory=dict)

    def charge(self, row: int, how: str, limits: Limits, detail: str = "") -> None:
        """Count a death on `row`. A UserError where workers die before any row, and so would all others."""
        self.deaths[row] = self.deaths.get(row, 0) + 1
        where = "before its first row" if row == OPENING else f"on row {row}"
        print(f"warning: {self.job.key}: {how}{detail} {where}", file=sys.stderr)
        if self.deaths[row] < limits.attempts:
            return
        if row == OPENING:
            raise UserError(
                f"{self.job.key}: {how}{detail}, {self.deaths[row]} times, before its first row. "
                "Where memory is short, run with fewer --workers."
            )
        self.skip[row] = f"given up: {how}, {self.deaths[row]} times on this row"


def attempt(job: Job, skip: Skip, beat: Beat) -> tuple[str, Any]:
    """Run a job in a worker: what came of it, in a form that any process can read."""
    try:
        return "done", job.run(beat, skip)
    except UserError as error:
        return "user", str(error)
    except OSError as error:
        filename = error.filename and str(error.filename)
        return "system", (error.errno, error.strerror, filename, traceback.format_exc())
    except Exception:  # a mistake of ours: the parent raises it again with this trace
        return "bug", traceback.format_exc()


def revive(job: Job, kind: str, content: Any) -> Exception:
    """The failure of a whole job as an exception of the parent: the same on every attempt, so there is no
    second."""
    if kind == "user":
        return UserError(content)
    if kind == "system":
        number, text, filename, trace = content
        error = OSError(number, text, filename)
        error.add_note(f"{job.key}, in a worker:\n{trace}")
        return error
    return RuntimeError(f"{job.key} failed in a worker:\n{content}")
