"""What a run folder says of its training: curves, steps, minutes, config."""

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from evaluation.report.chart import line_chart
from evaluation.report.curves import Curve, read_curves

PAUSE = 600.0  # seconds without a logged number: the run was stopped in between
CHARTS = {  # title: names of metrics.csv, those that are there are drawn
    "loss": ("train/loss", "val/loss"),
    "PSNR of held-out clips, dB": ("val/psnr",),
}


class Figure(NamedTuple):
    """A chart with its title."""

    title: str
    svg: Markup


def training(run: Path) -> dict[str, Any] | None:
    """Charts, last step, minutes and config of a run; None where it has logged nothing."""
    if not (run / "metrics.csv").is_file():
        return None
    curves = read_curves(run / "metrics.csv")
    clock = curves.pop("seconds", None)
    figures = [figure for title, names in CHARTS.items() if (figure := _figure(title, names, curves))]
    if not figures:
        return None
    config = run / "config.yaml"
    return {
        "figures": figures,
        "steps": int(max(curve.steps[-1] for curve in curves.values())),
        "minutes": working_seconds(clock.values) / 60 if clock else None,
        "config": config.read_text(encoding="utf-8") if config.is_file() else None,
    }


def working_seconds(clock: list[float]) -> float:
    """Seconds between the first and the last of these times, without the pauses of a stopped run."""
    gaps = [after - before for before, after in pairwise(clock)]
    return sum(gap for gap in gaps if 0 < gap <= PAUSE)


def _figure(title: str, names: tuple[str, ...], curves: dict[str, Curve]) -> Figure | None:
    found = [curves[name]._replace(name=name.split("/")[0]) for name in names if name in curves]
    return Figure(title, Markup(line_chart(found, title))) if found else None
