"""What engines with workers of their own have in common: hand out jobs, watch, kill all when it is left."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Self

from curation.engine.attempts import Task
from curation.engine.job import Done, Job


class Supervisor(ABC):
    """Use as a context manager, or call `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, jobs: list[Job]) -> Iterator[Done]:
        """Run all `jobs`; yield each when it is done. Leaving the loop early kills what is under way."""
        waiting = deque(Task(job) for job in jobs)
        left = len(waiting)
        try:
            self._prepare(jobs)
            while left:
                self._assign(waiting)
                for done in self._watch(waiting):
                    left -= 1
                    yield done
        except BaseException:  # Ctrl-C, and a loop that is left, too: no worker outlives its engine
            self.close()
            raise

    @abstractmethod
    def close(self) -> None:
        """Kill all workers at once. Results appear on disk whole or not at all: nothing finished is lost."""

    def _prepare(self, jobs: list[Job]) -> None:  # noqa: B027, an engine need not prepare
        """What must stand before workers start."""

    @abstractmethod
    def _assign(self, waiting: deque[Task]) -> None:
        """Give the idle work, and start workers where there is room."""

    @abstractmethod
    def _watch(self, waiting: deque[Task]) -> Iterator[Done]:
        """What was done since; the tasks of dead and hung workers go back to `waiting`."""
