"""Team: the processes that write or read one checkpoint together; a fault of one becomes a fault of all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist
from torch.distributed import ProcessGroup

from console import UserError

Result = TypeVar("Result")
PATIENCE = timedelta(minutes=30)  # for the slowest process of a save


class TeamError(RuntimeError):
    """Another process of the team failed; its message is in this one."""


@dataclass(frozen=True)
class Team:
    """This process among those that act together; a group of None with one process is no group at all."""

    rank: int = 0
    size: int = 1
    group: ProcessGroup | None = None

    @classmethod
    def of_all(cls, *, apart: bool = False) -> "Team":
        """Every process of the run. `apart` has its own connections, so that a thread can use them while the
        training goes on with the others; all processes must ask for it at the same time."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        own: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if apart else None
        return cls(dist.get_rank(), dist.get_world_size(), own)

    def all(self, action: Callable[[], Result]) -> list[Result]:
        """Run `action` in every process, and give the results of all, by rank.

        Raises the error of this process, or one that tells of another's, in all of them alike.
        """
        mine: Result | None = None
        error: Exception | None = None
        try:
            mine = action()
        except Exception as caught:  # of any kind: the others wait, so it is told to them and raised by all
            if self.size == 1:
                raise
            error = caught
        if self.size == 1:
            return [mine]  # type: ignore[list-item]
        told: list[Any] = [None] * self.size
        dist.all_gather_object(told, (mine, _words(error)), group=self.group)
        if error is not None:
            raise error
        for rank, (_, words) in enumerate(told):
            if words is not None:
                raise _error(rank, *words)
        return [result for result, _ in told]

    def first(self, action: Callable[[], Result]) -> Result:
        """Run `action` in the first process alone and give its result to all."""
        return self.all(lambda: action() if self.rank == 0 else None)[0]  # type: ignore[return-value]


def _words(error: Exception | None) -> tuple[str, int | None, str] | None:
    """What travels of an error: not every one can be pickled."""
    if error is None:
        return None
    kind = "user" if isinstance(error, UserError) else "system" if isinstance(error, OSError) else "other"
    return kind, getattr(error, "errno", None), f"{error}" if kind == "user" else f"{error!r}"


def _error(rank: int, kind: str, number: int | None, text: str) -> Exception:
    if kind == "user":
        return UserError(text)
    if kind == "system" and number is not None:
        return OSError(number, f"rank {rank}: {text}")
    return TeamError(f"rank {rank}: {text}")
