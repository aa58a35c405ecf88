"""Failures that a user can mend become one message and an exit code; a bug keeps its traceback."""

import errno
import re
import sys
from collections.abc import Callable, Iterator
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
# What SQLite, safetensors, numpy and torch say of a write that failed, each in an error without errno.
FAILED_WRITE = re.compile(
    r"database or disk is full|No space left on device|File too large \(os error"
    r"|\d+ requested and \d+ written|PytorchStreamWriter failed writing|inline_container\.cc.*unexpected pos"
)


class UserError(ValueError):
    """A fault the user can mend. The message says what came, what is needed and what to do."""


def explain(error: BaseException) -> tuple[str, int] | None:
    """The message and exit code for `error`, or None where it is a bug whose traceback must be seen."""
    if isinstance(error, KeyboardInterrupt):
        message = "Stopped. What was finished is kept: the same command again goes on from there."
        return message, EXIT_INTERRUPTED
    if isinstance(error, UserError):
        return f"error: {error}", EXIT_USER
    fault = next(filter(None, map(_system_fault, _chain(error))), None)
    if fault is None:
        return None
    advice = "What was finished is kept: make room, then run the same command again."
    return f"error: {fault}. {advice}", EXIT_SYSTEM


def command(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` as a process: exit with its code, or with one message on stderr where `explain` has one."""
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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that led to it: a logger or a trainer may have wrapped the one that matters."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _system_fault(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        where = f" while writing {error.filename}" if error.filename else ""
        return f"{SYSTEM_ERRORS[error.errno]}{where}"
    if isinstance(error, Exception) and FAILED_WRITE.search(str(error)):
        return f"The disk took no more ({error})"
    return None
