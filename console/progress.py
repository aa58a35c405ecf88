"""Progress with the time left: a live bar on a terminal, a plain line every few seconds in a log file."""

import sys
import time
from collections.abc import Generator, Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")
LOG_EVERY = 10.0  # seconds between two lines where there is no terminal


def track(items: Iterable[Item], description: str, total: int | None = None) -> Generator[Item, None, None]:
    """Yield `items` and show on stderr how many are done, how long it took and how long it will take.

    One bar lives at a time: a `track` inside another prints its lines above the bar of the outer one.
    """
    total = len(items) if total is None and hasattr(items, "__len__") else total  # type: ignore[arg-type]
    show = _bar if sys.stderr.isatty() else _lines
    return show(items, description, total)


def _bar(items: Iterable[Item], description: str, total: int | None) -> Generator[Item, None, None]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=total, description=description)


def _lines(items: Iterable[Item], description: str, total: int | None) -> Generator[Item, None, None]:
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_EVERY and (total is None or done < total):
            left = f", about {(now - start) / done * (total - done):.0f} s left" if total else ""
            print(f"{description}: {done}{f'/{total}' if total else ''}{left}", file=sys.stderr, flush=True)
            last = now
    print(f"{description}: {done} done in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
