"""What the stages of a long run came to so far: a live table on a terminal, plain lines elsewhere; both, and
whoever listens, are told the same numbers."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from rich.console import Console
from rich.live import Live
from rich.table import Table

Item = TypeVar("Item")

LOG_EVERY = 10.0  # seconds between two lines, and between two reports to listeners
MOST = 3  # reasons that a line of the table has room for


class Count(NamedTuple):
    """What one item came to."""

    rows: int
    rejects: Mapping[str, int] = {}


class Numbers(NamedTuple):
    """Of one stage, so far."""

    done: int
    total: int
    rows: int
    rate: float
    "Rows a second, in this run"
    left: float | None
    "Seconds, by the mean time of an item; None before the first"
    seconds: float
    rejects: Mapping[str, int]
    "By reason, most first, in this run"


@dataclass
class Stage:
    """The tally of one stage."""

    name: str
    total: int = 0
    before: int = 0
    "Items that were done before this run"
    done: int = 0
    "Items of this run"
    rows: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    began: float | None = None
    ended: float | None = None

    def numbers(self, now: float) -> Numbers:
        """The tally at a time."""
        seconds = (self.ended or now) - self.began if self.began is not None else 0.0
        rate = self.rows / seconds if seconds > 0 else 0.0
        waiting = self.total - self.before - self.done
        left = 0.0 if not waiting else seconds / self.done * waiting if self.done else None
        most = dict(self.rejects.most_common())
        return Numbers(self.before + self.done, self.total, self.rows, rate, left, seconds, most)


Listener = Callable[[str, Numbers, bool], None]
"Told the name of a stage, its numbers, and whether they are its last"


class Board:
    """Follows stages, one at a time. Use as a context manager, so that the terminal is left as it was."""

    def __init__(self, listeners: Sequence[Listener] = ()):
        self.listeners = tuple(listeners)
        self.stages: dict[str, Stage] = {}
        self.live: Live | None = None

    def __enter__(self) -> "Board":
        if sys.stderr.isatty():
            self.live = Live(get_renderable=self.table, console=Console(stderr=True), refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def say(self, text: str) -> None:
        """A line for those who see no table."""
        if not self.live:
            print(text, file=sys.stderr)

    def expect(self, name: str, total: int, before: int) -> None:
        """A stage that will come, so that the table shows what is ahead."""
        self.stages.setdefault(name, Stage(name)).total = total
        self.stages[name].before = before

    def follow(self, items: Iterable[Item], name: str, count: Callable[[Item], Count]) -> Iterator[Item]:
        """Yield `items` of the stage `name` and keep its tally; `count` says what an item came to."""
        stage = self.stages[name]
        stage.began = last = time.monotonic()
        for item in items:
            found = count(item)
            stage.done += 1
            stage.rows += found.rows
            stage.rejects.update(found.rejects)
            yield item
            now = time.monotonic()
            if now - last >= LOG_EVERY and stage.before + stage.done < stage.total:
                self._tell(stage, now, final=False)
                last = now
        stage.ended = time.monotonic()
        self._tell(stage, stage.ended, final=True)

    def _tell(self, stage: Stage, now: float, *, final: bool) -> None:
        numbers = stage.numbers(now)
        if not self.live:
            print(line(stage.name, numbers, final=final), file=sys.stderr, flush=True)
        for listener in self.listeners:
            listener(stage.name, numbers, final)

    def table(self) -> Table:
        """All stages as they stand."""
        shown = Table(box=None, pad_edge=False)
        for heading in ("stage", "done", "rows", "rows/s", "left", "rejected and failed"):
            shown.add_column(
                heading, justify="left" if heading in ("stage", "rejected and failed") else "right"
            )
        for stage in self.stages.values():
            n = stage.numbers(time.monotonic())
            busy = stage.began is not None and stage.ended is None
            cells: list[Any] = [f"{n.done}/{n.total}", str(n.rows) if n.rows else ""]
            cells += [f"{n.rate:.1f}" if n.rows else "", _left(stage, n), reasons(n.rejects, MOST)]
            shown.add_row(stage.name, *cells, style="bold" if busy else "" if stage.ended else "dim")
        return shown


def line(name: str, n: Numbers, *, final: bool) -> str:
    """The numbers of a stage as one line."""
    rate = f", {n.rows} rows, {n.rate:.1f} a second" if n.rows else ""
    rejects = f"; rejected: {reasons(n.rejects, MOST)}" if n.rejects else ""
    if final:
        return f"{name}: {n.done} done in {n.seconds:.1f} s{rate}{rejects}"
    left = f", about {n.left:.0f} s left" if n.left is not None else ""
    return f"{name}: {n.done}/{n.total}{rate}{left}{rejects}"


def reasons(rejects: Mapping[str, int], most: int) -> str:
    """The commonest reasons with their counts, and how many more there are."""
    shown = [f"{reason} {count}" for reason, count in list(rejects.items())[:most]]
    rest = sum(list(rejects.values())[most:])
    return ", ".join(shown + ([f"others {rest}"] if rest else []))


def _left(stage: Stage, n: Numbers) -> str:
    if stage.ended is not None:
        return f"took {_clock(n.seconds)}"
    return "" if stage.began is None or n.left is None else _clock(n.left)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
