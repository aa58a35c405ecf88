"""The engine `ray`: long-lived actors on a Ray cluster.

Ray starts workers, places them and tells of their death; which row killed a worker, and what becomes of that
row, is decided as in the pool (curation.engine.attempts). A worker writes each row into a small file of its
own before it begins it (curation.engine.signs), so that the row of a death is known however sudden the
death was. Ray's own retries are off: they know no rows.
"""

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from console import UserError
from curation.engine.attempts import DIED, Limits, Task, attempt, revive
from curation.engine.job import OPENING, Done, Job
from curation.engine.ray_session import Session, ray
from curation.engine.signs import Pen, folder_of_signs, read
from curation.engine.supervisor import Supervisor

TICK = 1.0  # seconds between looks at the signs
MISCARRIAGES = 8  # workers in a row that die before they begin, after which the cluster is at fault

Needs = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class OnRay:
    """How the engine `ray` uses its cluster."""

    cpus: dict[str, float] = field(default_factory=dict)
    "Processors of a worker, by stage; 1 where nothing is said"
    gpus: dict[str, float] = field(default_factory=dict)
    """Part of a GPU that a worker takes, by stage: 0.25 puts four workers on each. A worker that shares a
    decode among stages takes the sum of theirs, one GPU at most"""
    wait_seconds: float = 600.0
    "How long to wait for a cluster that has no room for a single worker"

    def __post_init__(self):
        if any(part <= 0 for part in self.cpus.values()) or self.wait_seconds <= 0:
            raise UserError("engine.ray: cpus and wait_seconds must be above 0.")
        if any(not 0 < part <= 1 for part in self.gpus.values()):
            raise UserError(f"engine.ray.gpus is {self.gpus}; a worker takes a part of one GPU, in (0, 1].")

    def needs(self, kinds: set[str]) -> Needs:
        """What a worker takes that does all of `kinds`."""
        gpus = min(1.0, sum(self.gpus.get(kind, 0.0) for kind in kinds))
        return {"CPU": max(self.cpus.get(kind, 1.0) for kind in kinds), **({"GPU": gpus} if gpus else {})}


@dataclass(frozen=True)
class Shared:
    """Folders that every node must have at the same path, and a file by which it is known."""

    input: Path | None
    "The input, where it is a file or folder"
    mark: Path
    content: str
    "Of `mark`: another run's, or another node's own disk, holds something else"

    def fault(self) -> str | None:
        """Why this node cannot take part."""
        try:
            here = self.mark.read_text()
        except OSError:
            here = None
        if here == self.content and (self.input is None or self.input.exists()):
            return None
        from socket import gethostname

        folders = " and ".join(str(path) for path in (self.input, self.mark.parent) if path)
        return (
            f"The node {gethostname()} does not see the files of this run. On a cluster, {folders} must be "
            "on storage that all nodes share, under the same path."
        )


class _Hand:
    """A worker: one job after the other in one process, so that models stay open. Runs in a Ray actor."""

    def __init__(self, shared: Shared, signs: Path):
        self.shared, self.signs = shared, signs
        self.pen: Pen | None = None

    def work(self, number: int, job: Job, skip: dict[int, str]) -> tuple[str, Any]:
        """Run `job`, the attempt `number`."""
        if fault := self.shared.fault():
            return "user", fault
        self.pen = pen = self.pen or Pen(self.signs)
        pen.write(number, OPENING)
        return attempt(job, skip, lambda row: pen.write(number, row))


@dataclass
class _Worker:
    signs: Path
    actor: Any
    task: Task | None = None
    reply: Any = None
    number: int = 0
    "Of the attempt that it is on"
    row: int | None = None
    "None: it has not begun"
    count: int = 0
    since: float = 0.0

    @property
    def begun(self) -> bool:
        return self.row is not None


class Cluster(Supervisor):
    """At most `workers` actors, 0 for as many as there is room for. `close` ends a
    cluster that it started, and leaves a `session` that it was lent."""

    def __init__(
        self,
        settings: OnRay,
        workers: int,
        shared: Shared,
        limits: Callable[[int], Limits] = lambda workers: Limits(),
        session: Session | None = None,
    ):
        self.settings, self.asked, self.shared = settings, workers, shared
        self.limits_of, self.limits = limits, limits(workers)  # they depend on how many workers there are
        self.session, self.lent = session or Session(workers), session is not None
        self.workers: list[_Worker] = []
        self.needs: Needs = {}
        self.size = self.numbers = self.miscarried = 0
        self.signs: Path | None = None

    @override
    def close(self) -> None:
        if self.session.open:
            for worker in list(self.workers):
                self._dismiss(worker)
            if not self.lent:
                self.session.close()
        if self.signs is not None:
            shutil.rmtree(self.signs, ignore_errors=True)
        self.workers.clear()
        self.signs = None

    @override
    def _prepare(self, jobs: list[Job]) -> None:
        """The cluster, a place for signs, and no workers that take something else than `jobs` need."""
        needs = self.settings.needs({kind for job in jobs for kind in job.kinds})
        self.session.start()
        if self.signs is None:
            self.signs = folder_of_signs(self.shared.mark.parent)
        if needs != self.needs:
            for worker in list(self.workers):
                self._dismiss(worker)
        self.needs = needs
        there = ray().cluster_resources()
        if self.session.ours and (lacking := [name for name in needs if there.get(name, 0.0) < needs[name]]):
            raise UserError(self._no_room(lacking, there))
        room = min(int(there.get(name, 0.0) / amount + 1e-6) for name, amount in needs.items())
        self.size = self.asked or max(room, 1)
        self.limits = self.limits_of(self.size)

    @override
    def _assign(self, waiting: deque[Task]) -> None:
        idle = [worker for worker in self.workers if worker.task is None]
        while waiting and (idle or len(self.workers) < self.size):
            worker = idle.pop() if idle else self._start()
            self.numbers += 1
            task = worker.task = waiting.popleft()
            worker.number, worker.row, worker.since = self.numbers, None, time.monotonic()
            worker.reply = worker.actor.work.remote(worker.number, task.job, dict(task.skip))
        if idle and not waiting:  # work that waits for room goes to those who have it
            for worker in [worker for worker in self.workers if worker.task and not worker.begun]:
                assert worker.task is not None
                waiting.append(worker.task)
                self._dismiss(worker)
                break

    def _start(self) -> _Worker:
        self.numbers += 1
        actor = ray().remote(_Hand).options(num_cpus=self.needs["CPU"], num_gpus=self.needs.get("GPU", 0.0))
        assert self.signs is not None
        path = self.signs / str(self.numbers)
        worker = _Worker(path, actor.remote(self.shared, path))
        self.workers.append(worker)
        return worker

    @override
    def _watch(self, waiting: deque[Task]) -> Iterator[Done]:
        """Take in results and signs; find the dead, the hung and those that never begin."""
        busy = {worker.reply: worker for worker in self.workers if worker.task}
        if not busy:
            return
        ready, _ = ray().wait(list(busy), num_returns=1, timeout=TICK)
        fates = [(busy[reply], *self._fate(reply)) for reply in ready]
        self._look()  # after the deaths, so that it shows the last row of the dead
        for worker, kind, content in fates:
            if kind == "dead":
                self._mourn(worker, waiting, DIED, content)
                continue
            task, worker.task = worker.task, None
            assert task is not None  # a worker speaks only of the task that it was given
            if kind != "done":
                raise revive(task.job, kind, content)
            yield Done(task.job, content, dict(task.skip))
        for worker in [worker for worker in self.workers if worker.task]:
            silent = time.monotonic() - worker.since
            if worker.row is not None and silent > self.limits.patience(worker.row):
                self._mourn(worker, waiting, self.limits.silence(worker.row))
            elif silent > self.settings.wait_seconds and not any(other.begun for other in self.workers):
                raise UserError(self._no_room(list(self.needs), ray().available_resources()))

    def _fate(self, reply: Any) -> tuple[str, Any]:
        errors = ray().exceptions
        try:
            return ray().get(reply)
        except (errors.RayActorError, errors.OutOfMemoryError, errors.WorkerCrashedError) as error:
            return "dead", str(error)

    def _look(self) -> None:
        for worker in self.workers:
            number, row, count = read(worker.signs)
            if number == worker.number and count != worker.count:
                worker.row, worker.count, worker.since = row, count, time.monotonic()
                self.miscarried = 0

    def _mourn(self, worker: _Worker, waiting: deque[Task], how: str, what_ray_says: str = "") -> None:
        """Charge the death to the row that the worker was on, and to none where it died before it began."""
        task = worker.task
        assert task is not None
        self._dismiss(worker)
        if worker.row is not None:
            task.charge(worker.row, how, self.limits)
        else:
            self.miscarried += 1
            if self.miscarried >= MISCARRIAGES:
                raise RuntimeError(f"Ray could not start a worker, {MISCARRIAGES} times:\n{what_ray_says}")
        waiting.appendleft(task)

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        ray().kill(worker.actor)

    def _no_room(self, lacking: list[str], there: dict[str, float]) -> str:
        wanted = ", ".join(f"{self.needs[name]:g} {name}" for name in lacking)
        has = ", ".join(f"{there.get(name, 0.0):g} {name}" for name in lacking)
        return (
            f"A worker needs {wanted}; the Ray cluster has {has} to give. Lower engine.ray.cpus or "
            "engine.ray.gpus, or give another cluster by RAY_ADDRESS."
        )
