"""A clock that moves only when told, in the place of time."""

import pytest

from console import board, progress


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (board, progress):
        monkeypatch.setattr(module, "time", clock)
    return clock
