"""A table of ablations: each arm's mean and standard deviation over seeds."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table


def over_seeds(
    arms: Mapping[str, Sequence[Sequence[float]]], scores: Iterable[str], title: str, digits: int
) -> Table:
    """Arms down, scores across; an arm has a list of scores for each seed."""
    shown = Table("arm", *scores, title=title)
    for arm, runs in arms.items():
        cells = []
        for values in zip(*runs, strict=True):
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.{digits}f}{spread}")
        shown.add_row(arm, *cells)
    return shown
