"""Answers that were paid for, kept from the moment they are there: whoever asks the same again gets them from
here, after a kill, in another run over the same clips, in another unit. And the turns that keep a rate.

SQLite, shared by the workers of one machine. The key of an answer names all that it depends on.
"""

import errno
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from curation.stage import HaltError

TABLES = """
create table if not exists answers (key text primary key, text text not null, requests integer not null,
  prompt_tokens integer not null, completion_tokens integer not null) without rowid;
create table if not exists turns (server text primary key, next real not null) without rowid;
"""
PATIENCE = 60.0  # seconds for another worker's write


class Answer(NamedTuple):
    """A caption and what it cost, with the attempts that were thrown away."""

    text: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


class Answers:
    """The store in a file; made where there is none."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard():
            self._base = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            self._base.executescript(TABLES)

    def get(self, key: str) -> Answer | None:
        """The answer to `key`, if it is known."""
        asked = "select text, requests, prompt_tokens, completion_tokens from answers where key = ?"
        with self._guard():
            row = self._base.execute(asked, (key,)).fetchone()
        return Answer(*row) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer; it is on disk when this returns."""
        with self._guard():
            self._base.execute("insert or replace into answers values (?, ?, ?, ?, ?)", (key, *answer))

    def turn(self, server: str, interval: float) -> float:
        """Seconds to wait until it is our turn; turns of one server are `interval` seconds apart."""
        with self._guard():
            self._base.execute("begin immediate")
            now = time.time()
            row = self._base.execute("select next from turns where server = ?", (server,)).fetchone()
            mine = max(now, row[0] if row else now)
            self._base.execute("insert or replace into turns values (?, ?)", (server, mine + interval))
            self._base.execute("commit")
        return mine - now

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """No row is at fault where the store fails."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, "No space left on device", str(self.path)) from error
            raise HaltError(
                f"The store of captions {self.path} cannot be used: {error}. What was finished is kept. "
                "Where the file is damaged, move it away: its clips are asked about again."
            ) from error
