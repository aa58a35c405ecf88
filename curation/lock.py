"""One run at a time in a folder; tasks of an array job share it among themselves. The kernel holds the locks,
so that they go with the process, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import IO

from console import UserError

RUN = ".lock"
TASKS = ".lock-tasks"


@contextmanager
def locked(folder: Path, *, alone: bool = True) -> Iterator[Path]:
    """Hold `folder` for this process; the file that says so. Where the run itself will work in tasks (not
    `alone`), only tasks of an earlier run are in its way."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / RUN, "a+") as file, open(folder / TASKS, "a+") as tasks:
        _hold(file, fcntl.LOCK_EX, folder)
        _hold(tasks, fcntl.LOCK_EX, folder)
        for one in (file, tasks):
            one.truncate(0)
            one.write(f"process {os.getpid()} on {gethostname()}")
            one.flush()
        if not alone:
            fcntl.flock(tasks, fcntl.LOCK_UN)
        yield folder / RUN


@contextmanager
def joined(folder: Path) -> Iterator[None]:
    """Work in `folder` beside other tasks; no run works there by itself meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / TASKS, "a+") as file:
        _hold(file, fcntl.LOCK_SH, folder)
        yield


def _hold(file: IO[str], how: int, folder: Path) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        who = "tasks of an array job" if file.name.endswith(TASKS) and how == fcntl.LOCK_EX else file.read()
        raise UserError(
            f"Another curation run ({who.strip() or 'unknown'}) is working in {folder}. "
            "Wait for it, stop it, or give another --out."
        ) from error
