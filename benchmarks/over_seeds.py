"""What ablations share: runs that follow one another, and a table of means and deviations over seeds."""

import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from console import UserError


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


def run(module: str, *arguments: str) -> None:
    """Run `python -m module arguments` to its end; UserError where it fails."""
    code = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
    if code:
        raise UserError(
            f"python -m {module} ended with code {code}; what it says stands above. Then give the same "
            "command again: runs that are finished are not made twice."
        )
