"""Background: one job after the other in a thread, while the training goes on."""

import queue
import threading
from collections.abc import Callable
from typing import Any


class Background:
    """A thread that does what it is given, in order. What a job raised is raised by the next `wait`.

    The thread does not keep a process alive: whoever ends well waits first.
    """

    def __init__(self) -> None:
        self._jobs: queue.Queue[Callable[[], Any]] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._idle = threading.Condition()
        self._open = 0

    def start(self, job: Callable[[], Any]) -> None:
        """Have `job` done after those before it."""
        with self._idle:
            self._open += 1
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether a job has raised something that nobody has seen yet."""
        return self._error is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Until all is done or `seconds` are over; whether it is. Raises what a job has raised."""
        with self._idle:
            done = self._idle.wait_for(lambda: self._open == 0, seconds)
            error, self._error = self._error, None
        if error is not None:
            raise error
        return done

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                if self._error is None:  # after a failure the rest would stand on what is not there
                    job()
            except BaseException as error:
                self._error = error
            with self._idle:
                self._open -= 1
                self._idle.notify_all()
