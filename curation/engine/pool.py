"""The default engine: worker processes under our own supervision, nothing to start.

concurrent.futures gives up all work when one worker dies. Here a worker that dies, or that stays on one row
for longer than the limit, costs that job one attempt; a row that kills its worker `attempts` times is left
out of the next one, and the job finishes without it. Workers live as long as the pool, so that models are
loaded once per process.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from console import UserError
from curation.engine.job import OPENING, Beat, Done, Job, Skip

TICK = 1.0  # seconds between looks at the clock


@dataclass(frozen=True)
class Limits:
    """How long the pool waits and how often it tries."""

    row_seconds: float = 600.0
    "A worker that is on one row for longer is taken for hung and killed"
    opening_seconds: float = 900.0
    "The same while models are loaded, or where all rows are worked on at once"
    attempts: int = 2
    "Deaths on one row after which the row is given up; deaths while opening after which the run is"


@dataclass
class _Task:
    job: Job
    skip: dict[int, str] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: _Task | None = None
    row: int = OPENING
    since: float = 0.0


class Pool:
    """`workers` processes. Use as a context manager, or call `close`."""

    def __init__(self, workers: int, limits: Limits | None = None):
        self.size, self.limits = workers, limits or Limits()
        self.workers: list[_Worker] = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, jobs: list[Job]) -> Iterator[Done]:
        """Run all `jobs`; yield each when it is done. Leaving the loop early kills what is under way."""
        waiting = deque(_Task(job) for job in jobs)
        left = len(waiting)
        try:
            while left:
                self._assign(waiting)
                for done in self._watch(waiting):
                    left -= 1
                    yield done
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill all workers at once. Results appear on disk whole or not at all: nothing finished is lost."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def _assign(self, waiting: deque[_Task]) -> None:
        idle = [worker for worker in self.workers if worker.task is None]
        while waiting and (idle or len(self.workers) < self.size):
            worker = idle.pop() if idle else self._start()
            task = waiting.popleft()
            worker.task, worker.row, worker.since = task, OPENING, time.monotonic()
            try:
                worker.pipe.send((task.job, task.skip))
            except (BrokenPipeError, ConnectionResetError):  # it died idle: not the task's fault
                worker.task = None
                waiting.appendleft(task)
                self._bury(worker)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self.workers.append(worker)
        return worker

    def _watch(self, waiting: deque[_Task]) -> Iterator[Done]:
        """Take in what workers say; find the dead and the hung."""
        wait([worker.pipe for worker in self.workers], timeout=TICK)
        for worker in list(self.workers):
            try:
                while worker.pipe.poll():
                    done = self._hear(worker, *worker.pipe.recv())
                    if done:
                        yield done
            except (EOFError, ConnectionResetError):
                worker.process.join()
                self._mourn(worker, f"its worker died ({_manner(worker.process.exitcode)})", waiting)
                continue
            limit = self.limits.opening_seconds if worker.row == OPENING else self.limits.row_seconds
            if worker.task and time.monotonic() - worker.since > limit:
                worker.process.kill()
                worker.process.join()
                self._mourn(worker, f"its worker gave no sign for {limit:g} s", waiting)

    def _hear(self, worker: _Worker, kind: str, content: Any) -> Done | None:
        task = worker.task
        assert task is not None  # a worker speaks only of the task that it was given
        worker.since = time.monotonic()
        if kind == "row":
            worker.row = content
            return None
        if kind == "done":
            worker.task = None
            return Done(task.job, content, dict(task.skip))
        raise _revive(task.job, kind, content)

    def _mourn(self, worker: _Worker, how: str, waiting: deque[_Task]) -> None:
        """Charge the death to the row that the worker was on; give the row up when it killed often enough."""
        task, row = worker.task, worker.row
        self._bury(worker)
        if task is None:
            return
        task.deaths[row] = task.deaths.get(row, 0) + 1
        if task.deaths[row] >= self.limits.attempts:
            if row == OPENING:
                raise UserError(
                    f"{task.job.key}: {how}, {task.deaths[row]} times, before its first row. "
                    "Where memory is short, run with fewer --workers."
                )
            task.skip[row] = f"given up: {how}, {task.deaths[row]} times on this row"
        waiting.appendleft(task)

    def _bury(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join()


def _work(pipe: Connection) -> None:
    """Life of a worker: it ends when the parent does, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job, skip = pipe.recv()
        except (EOFError, OSError):
            return
        _say(pipe, *_attempt(job, skip, lambda row: _say(pipe, "row", row)))


def _attempt(job: Job, skip: Skip, beat: Beat) -> tuple[str, Any]:
    try:
        return "done", job.run(beat, skip)
    except UserError as error:
        return "user", str(error)
    except OSError as error:
        return "system", (
            error.errno,
            error.strerror,
            error.filename and str(error.filename),
            traceback.format_exc(),
        )
    except Exception:
        return "bug", traceback.format_exc()


def _say(pipe: Connection, kind: str, content: Any) -> None:
    try:
        pipe.send((kind, content))
    except OSError:  # the parent is gone: nobody wants the result
        os._exit(1)


def _revive(job: Job, kind: str, content: Any) -> Exception:
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


def _manner(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"exit code {code}"
