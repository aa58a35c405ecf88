"""Processes find each other, and notice that one is gone; torch speaks of sockets, this of what to do."""

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from console import UserError

# what gloo and nccl say when a process does not answer any more
LOST = re.compile(r"connection (closed|reset)|pair closure|timed out|timeout|NCCL", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where the processes meet, and which of them this one is."""

    rank: int
    world: int
    address: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"Process {self.rank} of {self.world}"

    def failed(self, reason: str) -> str:
        """What to say when the others are not found."""
        return (
            f"{self} did not find the others at {self.address}:{self.port} ({reason}). Start all of them "
            "with the same MASTER_ADDR and MASTER_PORT; if another program or an earlier run holds the port, "
            "set MASTER_PORT to a free one."
        )

    def lost(self, error: BaseException) -> UserError | None:
        """What to say when `error` tells that another process is gone; None where it tells something else."""
        if not isinstance(error, RuntimeError) or not LOST.search(str(error)):
            return None
        return UserError(
            f"{self} lost the others ({_first_line(error)}). One of them ended or hangs: look for its own "
            "message. The same command goes on from the newest checkpoint."
        )


@contextmanager
def meeting(place: Place, limit: float, otherwise: Callable[[], None]) -> Iterator[None]:
    """Within this context the processes connect; if they cannot, `otherwise` is called and the user told.

    After twice `limit` seconds the process ends from another thread: torch has limits of its own, but waits
    for ever for an answer of a stranger that holds the port.

    Raises:
        UserError: If torch could not connect.
    """
    watch = threading.Timer(2 * limit, _give_up, [place.failed(f"no answer in {2 * limit:.0f} s")])
    watch.daemon = True
    watch.start()
    try:
        yield
    except RuntimeError as error:  # torch's errors of networks, stores and backends are such
        otherwise()
        raise UserError(place.failed(_first_line(error))) from error
    finally:
        watch.cancel()


def _give_up(message: str) -> None:
    print(f"error: {message}", file=sys.stderr, flush=True)
    os._exit(2)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
