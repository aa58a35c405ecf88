"""Failures a user can mend become one message and an exit code; anything else is a bug and keeps its traceback."""

import errno
import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_USER = 2  # what the user gave cannot be used: a path, a config, a file
EXIT_SYSTEM = 3  # the machine cannot go on: the disk is full
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report Ctrl-C

SYSTEM_ERRORS = {
    errno.ENOSPC: "No space left on the device",
    errno.EDQUOT: "The disk quota is used up",
    errno.EFBIG: "The file would pass the size limit of this disk or process",
    errno.EROFS: "The file system is read-only",
}


class UserError(ValueError):
    """A fault the user can mend. The message says what came, what is needed and what to do."""


def explain(error: BaseException) -> tuple[str, int] | None:
    """The message and exit code for `error`, or None where it is a bug whose traceback must be seen."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped. What was finished is kept: the same command again goes on from there.", EXIT_INTERRUPTED
    if isinstance(error, UserError):
        return f"error: {error}", EXIT_USER
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        where = f" while writing {error.filename}" if error.filename else ""
        return (
            f"error: {SYSTEM_ERRORS[error.errno]}{where}. What was finished is kept: make room, "
            "then run the same command again.",
            EXIT_SYSTEM,
        )
    return None


def command(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` as a process: exit with its code, or with one message on stderr where `explain` knows one."""
    try:
        code = main() or 0
        sys.stdout.flush()
    except BaseException as error:
        explained = explain(error)
        if explained is None:
            raise
        message, code = explained
        print(message, file=sys.stderr)
    sys.exit(code)
