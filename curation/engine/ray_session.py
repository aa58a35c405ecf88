"""Ray, found or started: the cluster of RAY_ADDRESS, or one of this machine alone, whose processes and files
end with the run, however it ends."""

import os
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from console import UserError
from curation.lock import locked

PREFIX = "curation-ray-"
OBJECTS = 80 * 2**20  # bytes of shared memory for Ray's objects, its least: no video travels
KNOCK = 20.0  # seconds


def ray() -> Any:
    """The package, or what to install."""
    try:
        import ray as package
    except ImportError as error:
        raise UserError(
            "The engine ray needs the extra `ray`: pip install 'moviegen-lightning[ray]'"
        ) from error
    return package


class Session:
    """A connection to Ray. `workers`: processors that a cluster of this machine offers at least."""

    def __init__(self, workers: int):
        self.workers = workers
        self.open = self.ours = False
        self._folder = ExitStack()

    def start(self, num_gpus: int | None = None) -> None:
        """Connect, unless that is done. A cluster of this machine has `num_gpus`, for None those that Ray
        finds."""
        if self.open:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Else Ray takes all GPUs from workers without a share by a way that it warns of.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Else workers of a cluster of this machine run at 15, and get no time beside others' processes.
        os.environ.setdefault("RAY_worker_niceness", "0")
        quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        address = os.environ.get("RAY_ADDRESS", "local")
        if address == "local":
            cores = max(len(os.sched_getaffinity(0)), self.workers)
            ray().init("local", num_cpus=cores, num_gpus=num_gpus, object_store_memory=OBJECTS,
                       include_dashboard=False, _temp_dir=str(self._temporary()), **quiet)  # fmt: skip
            self.ours = True
        else:
            try:
                _knock(address)
                ray().init(address, **quiet)
            except (OSError, RuntimeError) as error:
                raise UserError(f"RAY_ADDRESS is {address}, where no Ray cluster answers: {error}") from error
        self.open = True

    def close(self) -> None:
        """Disconnect; end a cluster that was started here and remove its files."""
        if self.open:
            ray().shutdown()
        self.open = self.ours = False
        self._folder.close()

    def _temporary(self) -> Path:
        """A folder for Ray's sockets and logs. Those of runs that were killed are removed: nobody holds their
        lock."""
        place = Path(tempfile.gettempdir())
        if len(str(place)) > 20:  # a socket's path has at most 107 characters, and Ray's part is long
            place = Path("/tmp")
        for old in place.glob(f"{PREFIX}*"):
            try:
                with locked(old):
                    shutil.rmtree(old, ignore_errors=True)
            except (UserError, OSError):
                continue  # in use, or of another user
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        self._folder.callback(shutil.rmtree, folder, ignore_errors=True)
        self._folder.enter_context(locked(folder))
        return folder


def _knock(address: str) -> None:
    """Fail at once where nobody listens; Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK).close()
