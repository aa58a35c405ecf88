"""All tests: shapes in signatures are checked, seeds are fixed, one thread, no network."""

import os
import random
import socket
import sys

os.environ.update(
    HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="1"
)
for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # read when numpy and torch are imported; the tests run in parallel

import hypothesis
import numpy as np
import pytest
from jaxtyping import install_import_hook

SHAPED = ["models", "flow"]  # packages whose every call is checked against the shapes in its signature
install_import_hook(SHAPED, "beartype.beartype")

hypothesis.settings.register_profile("unhurried", deadline=None)  # machines differ; no test is timed
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same numbers in every order of tests; torch is seeded only where a test has imported it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but this machine is a fault of the code under test."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"  # a path is a local socket
        if host not in {"localhost", "127.0.0.1", "::1"}:
            raise AssertionError(f"a test tried to connect to {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", only_here)
