"""The board counts, says how long the rest takes, tells listeners what it shows, and leaves the terminal."""

import io
import os
import pty
import sys

from rich.console import Console

from console import Board, board
from console.board import Count, line, reasons
from tests.console.conftest import Clock


def steps(clock: Clock, seconds: list[float]):
    for one in seconds:
        clock.now += one
        yield one


def count(seconds: float) -> Count:
    return Count(4, {"too dark": 3, "broken": 1} if seconds > 10 else {"broken": 1})


def test_lines_and_listeners_get_the_same_numbers(clock, capsys):
    told = []
    shown = Board([lambda *given: told.append(given)])
    shown.expect("split", 6, 2)
    for _ in shown.follow(steps(clock, [12.0, 4.0, 14.0, 1.0]), "split", count):
        pass
    assert capsys.readouterr().err.splitlines() == [
        "split: 3/6, 4 rows, 0.3 a second, about 36 s left; rejected: too dark 3, broken 1",
        "split: 5/6, 12 rows, 0.4 a second, about 10 s left; rejected: too dark 6, broken 3",
        "split: 6 done in 31.0 s, 16 rows, 0.5 a second; rejected: too dark 6, broken 4",
    ]
    assert [(name, final) for name, _, final in told] == [("split", False), ("split", False), ("split", True)]
    assert [line(name, numbers, final=final) for name, numbers, final in told[-1:]] == [
        "split: 6 done in 31.0 s, 16 rows, 0.5 a second; rejected: too dark 6, broken 4"
    ]
    assert told[0][1].left == 36.0


def test_what_is_resumed_does_not_count_for_the_rate(clock):
    stage = board.Stage("x", total=10, before=8)
    stage.began, stage.done, stage.rows = clock.now, 1, 50
    numbers = stage.numbers(clock.now + 5)
    assert (numbers.done, numbers.rate, numbers.left) == (9, 10.0, 5.0)


def test_many_reasons_are_cut_and_the_rest_is_counted():
    assert reasons({"a": 9, "b": 5, "c": 2, "d": 1, "e": 1}, 3) == "a 9, b 5, c 2, others 2"
    assert reasons({}, 3) == ""


def test_the_table_shows_what_is_done_under_way_and_ahead(clock):
    shown = Board()
    for name, total in (("ingest", 4), ("split", 4), ("motion", 4)):
        shown.expect(name, total, 0)
    list(shown.follow(steps(clock, [60.0] * 4), "ingest", count))
    for _ in shown.follow(steps(clock, [30.0, 30.0, 0.0, 0.0]), "split", count):
        if shown.stages["split"].done == 2:
            text = io.StringIO()
            Console(file=text, width=120).print(shown.table())
            break
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert lines[1:] == [
        "ingest 4/4 16 0.1 took 4:00 too dark 12, broken 4",
        "split 2/4 8 0.1 1:00 too dark 6, broken 2",
        "motion 0/4",
    ]


def _read(control: int) -> bytes:
    try:
        return os.read(control, 2**16)
    except BlockingIOError:
        return b""


def test_a_terminal_gets_a_table_and_is_left_with_its_cursor(monkeypatch):
    control, end = pty.openpty()
    terminal = os.fdopen(end, "w")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Board() as shown:
        shown.say("for those who see no table")
        shown.expect("split", 2, 0)
        list(shown.follow([1.0, 20.0], "split", count))
        print("a warning", file=sys.stderr)
    terminal.flush()
    os.set_blocking(control, False)
    said = b"".join(iter(lambda: _read(control), b"")).decode()
    terminal.close()
    os.close(control)
    assert "2/2" in said
    assert "too dark 3" in said
    assert "a warning" in said
    assert "no table" not in said
    assert said.rstrip().endswith("\x1b[?25h")  # the cursor is shown again
