"""Progress counts what was done, says how long the rest takes, and leaves the terminal as it was."""

import os
import pty
import sys
from collections.abc import Iterator

import pytest

from console import track
from tests.console.conftest import Clock


def test_the_time_left_is_the_mean_time_of_an_item_times_those_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds in track([12.0, 4.0, 14.0, 1.0], "Decoding"):
        clock.now += seconds
    assert capsys.readouterr().err.splitlines() == [
        "Decoding: 1/4, about 36 s left",
        "Decoding: 3/4, about 10 s left",  # the second line would come 4 s after the first
        "Decoding: 4 done in 31.0 s",
    ]


def test_a_stream_of_unknown_length_is_counted_without_a_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in track(iter(range(2)), "Reading"):
        clock.now += 11.0
    assert capsys.readouterr().err.splitlines() == ["Reading: 1", "Reading: 2", "Reading: 2 done in 22.0 s"]


def test_the_length_of_a_stream_can_be_told(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in track(iter(range(2)), "Reading", total=2):
        clock.now += 11.0
    assert capsys.readouterr().err.splitlines()[0] == "Reading: 1/2, about 11 s left"


def test_items_pass_through_in_order_and_none_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", "Letters")) == ["a", "b", "c"]
    assert list(track([], "Nothing")) == []
    assert "Nothing: 0 done" in capsys.readouterr().err


def test_a_loop_that_fails_claims_no_end_and_closes_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            closed.append(True)

    def work() -> None:
        for item in track(source(), "Working"):
            raise RuntimeError(f"item {item}")

    with pytest.raises(RuntimeError, match="item 0"):
        work()
    assert closed
    assert "done" not in capsys.readouterr().err


PROGRAM = """
from console import UserError, command, track
def main():
    for outer in track(range(2), "outer"):
        for inner in track(range(3), "inner"):
            if outer == 1: raise UserError("the second clip is torn")
command(main)
"""


def test_a_terminal_shows_bars_and_gets_its_cursor_back_after_a_failure() -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert b"outer" in shown
    assert b"inner: 3 done" in shown
    hidden, back = b"\x1b[?25l", b"\x1b[?25h"
    assert shown.count(hidden) == shown.count(back) == 1
    assert shown.rindex(back) < shown.index(b"error: the second clip is torn")
