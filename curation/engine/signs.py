"""Signs of life in files: which row a worker of another machine is on, known even after it was killed.

A message that is on its way dies with its process; bytes that were written stay. A sign costs one write of 24
bytes into the page cache, so that even rows of a millisecond are not slowed down.
"""

import os
import shutil
import struct
import tempfile
import time
from pathlib import Path

FORM = struct.Struct("<qqq")  # attempt, row, signs so far
FLUSH = 5.0  # seconds after which a sign is pushed to storage that other machines read
PREFIX = ".signs-"


class Pen:
    """Writes the signs of one worker."""

    def __init__(self, path: Path):
        self.handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        self.count, self.flushed = 0, time.monotonic()

    def write(self, number: int, row: int) -> None:
        """Say that the attempt `number` begins `row`."""
        self.count += 1
        os.pwrite(self.handle, FORM.pack(number, row, self.count), 0)
        if time.monotonic() - self.flushed > FLUSH:
            os.fsync(self.handle)
            self.flushed = time.monotonic()


def read(path: Path) -> tuple[int, int, int]:
    """The last sign: attempt, row, how many there were; attempt 0, which is none, before the first."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    return FORM.unpack(content) if len(content) == FORM.size else (0, 0, 0)


def folder_of_signs(place: Path) -> Path:
    """A new folder in `place`; those of runs that were killed are removed. For the holder of its lock."""
    for old in place.glob(f"{PREFIX}*"):
        shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
