"""One run at a time in a folder. The kernel holds the lock, so that it goes with the process, however that
ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname

from console import UserError


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold `folder` for this process; the file that says so."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"Another curation run (process {holder}) is working in {folder}. "
                "Wait for it, stop it, or give another --out."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()} on {gethostname()}")
        file.flush()
        yield path
