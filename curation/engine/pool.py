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
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from typing_extensions import override

from curation.engine.attempts import DIED, Limits, Task, attempt, revive
from curation.engine.job import OPENING, Done
from curation.engine.supervisor import Supervisor

TICK = 1.0  # seconds between looks at the clock


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    row: int = OPENING
    since: float = 0.0


class Pool(Supervisor):
    """`workers` processes."""

    def __init__(self, workers: int, limits: Limits | None = None):
        self.size, self.limits = workers, limits or Limits()
        self.workers: list[_Worker] = []

    @override
    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    @override
    def _assign(self, waiting: deque[Task]) -> None:
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

    @override
    def _watch(self, waiting: deque[Task]) -> Iterator[Done]:
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
                self._mourn(worker, waiting, DIED, f" ({_manner(worker.process.exitcode)})")
                continue
            if worker.task and time.monotonic() - worker.since > self.limits.patience(worker.row):
                worker.process.kill()
                worker.process.join()
                self._mourn(worker, waiting, self.limits.silence(worker.row))

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
        raise revive(task.job, kind, content)

    def _mourn(self, worker: _Worker, waiting: deque[Task], how: str, detail: str = "") -> None:
        """Charge the death to the row that the worker was on."""
        task, row = worker.task, worker.row
        self._bury(worker)
        if task is None:
            return
        task.charge(row, how, self.limits, detail)
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
        _say(pipe, *attempt(job, skip, lambda row: _say(pipe, "row", row)))


def _say(pipe: Connection, kind: str, content: Any) -> None:
    try:
        pipe.send((kind, content))
    except OSError:  # the parent is gone: nobody wants the result
        os._exit(1)


def _manner(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"exit code {code}"
