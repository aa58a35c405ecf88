"""Files elsewhere: whatever fsspec has a file system for (http, https, s3, gs, memory and more).

Keys and endpoints come from where fsspec looks for them (its config files, FSSPEC_S3_ENDPOINT_URL and the
like, the cloud's own files): none of them belongs into a config that is logged.
"""

import os
import time
from pathlib import Path
from typing import Any

import fsspec
from fsspec.callbacks import Callback

from console import UserError
from console.errors import SYSTEM_ERRORS
from curation.sources.handling import Handling
from curation.sources.names import is_pattern
from storage import fingerprint

FAILED = "could not be fetched"  # how the error of a row begins that another run may mend: --retry
PATIENT = (408, 425, 429)  # of the answers 4xx those that may change
PAUSE = 1.0  # seconds before the second attempt; twice as many before each further one
SILENCE = 60.0  # seconds without a byte


def file_system(address: str, seconds: float) -> tuple[Any, str]:
    """The file system of an address and the path within it."""
    more: dict[str, Any] = {}
    if address.startswith(("http://", "https://")):
        import aiohttp

        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=SILENCE, sock_read=SILENCE)
        more = {"client_kwargs": {"timeout": limits}}
    try:
        return fsspec.core.url_to_fs(address, **more)
    except ImportError as error:
        raise UserError(f"{address} cannot be read: {error}.") from error
    except ValueError as error:
        raise UserError(f"{address} has no file system that is known here: {error}.") from error


def state_of(info: dict[str, Any]) -> list[Any] | None:
    """What tells one version of a remote file from another, where a listing says it."""
    marks = (info.get(key) for key in ("ETag", "LastModified", "mtime", "created"))
    mark = next((str(mark) for mark in marks if mark is not None), None)
    return None if info.get("size") is None and mark is None else [info.get("size"), mark]


def mark_of(state: list[Any] | None) -> str:
    """A state as one word; empty where there is none."""
    return "" if state is None else fingerprint(state)


def find_remote(address: str, seconds: float) -> dict[str, list[Any] | None]:
    """All files under a remote folder, or that a pattern names, with their states."""
    files, path = file_system(address, seconds)
    try:
        if is_pattern(address):
            found = files.glob(path, detail=True)
        else:
            path = path.rstrip("/") + "/" if "http" in files.protocol else path
            files.ls(path, detail=False)  # find passes over its failures
            found = files.find(path, detail=True)
    except Exception as error:  # each file system has errors of its own
        raise UserError(f"{address} cannot be listed: {_says(error)}.") from error
    return {
        files.unstrip_protocol(name): state_of(info) for name, info in found.items() if info["type"] == "file"
    }


def fetch(address: str, target: Path, handling: Handling) -> list[Any] | None:
    """Copy a remote file to `target`; its state, where it says one.

    Raises:
        ValueError: it could not be had, after `handling.attempts` where that may change.
    """
    meter = _Meter(handling)
    for attempt in range(1, handling.attempts + 1):
        try:
            meter.again()
            files, path = file_system(address, handling.fetch_seconds)
            web = (
                "http" in files.protocol
            )  # says of every failure that there is no such file, when asked first
            info = {} if web else files.info(path)
            files.get_file(path, str(target), callback=meter)
            size = info.get("size")
            if size is not None and target.stat().st_size != size:
                raise ConnectionError(f"{target.stat().st_size} of {size} bytes came")
            return state_of(info)
        except (UserError, TooMuchError) as error:
            raise ValueError(f"{FAILED}: {error}") from error
        except Exception as error:  # each file system has errors of its own
            if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
                raise
            if attempt == handling.attempts or _final(error):
                raise ValueError(f"{FAILED}: {_says(error)} (attempt {attempt})") from error
            time.sleep(PAUSE * 2 ** (attempt - 1))
    raise AssertionError("at least one attempt")


class TooMuchError(Exception):
    """A fetch passed a limit."""


class _Meter(Callback):
    """Ends a fetch that passes a limit of bytes or time."""

    def __init__(self, handling: Handling):
        super().__init__()
        self.handling, self.end = handling, time.monotonic() + handling.fetch_seconds

    def again(self) -> None:
        """Count the bytes of another attempt; the time goes on."""
        self.value = 0
        self._check(0)

    def set_size(self, size: int | None) -> None:
        super().set_size(size)
        self._check(size or 0)

    def relative_update(self, inc: int = 1) -> None:
        super().relative_update(inc)
        self._check(self.value)

    def absolute_update(self, value: int) -> None:
        super().absolute_update(value)
        self._check(value)

    def _check(self, size: int) -> None:
        if size > self.handling.fetch_gb * 2**30:
            raise TooMuchError(f"it is larger than files.fetch_gb = {self.handling.fetch_gb:g}")
        if time.monotonic() > self.end:
            raise TooMuchError(f"it took longer than files.fetch_seconds = {self.handling.fetch_seconds:g}")


def _final(error: Exception) -> bool:
    """Whether asking again is of no use."""
    status = getattr(error, "status", None)
    refused = isinstance(status, int) and 400 <= status < 500 and status not in PATIENT
    return refused or isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)


def _says(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return f"the server answers {status} {getattr(error, 'message', '')}".strip()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return f"{type(error).__name__} {error}".strip()
