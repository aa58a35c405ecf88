"""Curves of a run from its `metrics.csv`: one column a metric, empty where a row did not log it."""

import csv
import math
from pathlib import Path
from typing import NamedTuple


class Curve(NamedTuple):
    """One metric over the steps of training."""

    name: str
    steps: list[float]
    values: list[float]


def read_curves(path: Path) -> dict[str, Curve]:
    """Every numeric column of `path` by its name; values that are no finite numbers are passed over."""
    curves: dict[str, Curve] = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            step = _number(row.get("step"))
            for name, text in row.items():
                value = _number(text)
                if step is None or value is None or name in (None, "step"):
                    continue
                curve = curves.setdefault(name, Curve(name, [], []))
                curve.steps.append(step)
                curve.values.append(value)
    return curves


def smooth(curve: Curve, span: int) -> Curve:
    """Exponential mean over about `span` points, without the start's pull towards zero."""
    keep = 1 - 1 / max(span, 1)
    total = weight = 0.0
    values = []
    for value in curve.values:
        total, weight = keep * total + value, keep * weight + 1
        values.append(total / weight)
    return Curve(curve.name, curve.steps, values)


def thin(curve: Curve, points: int) -> Curve:
    """At most `points` of the curve, evenly, the last among them."""
    count = len(curve.steps)
    if count <= points:
        return curve
    places = [round(index * (count - 1) / (points - 1)) for index in range(points)]
    return Curve(curve.name, [curve.steps[i] for i in places], [curve.values[i] for i in places])


def _number(text: str | None) -> float | None:
    try:
        value = float(text)  # pyright: ignore[reportArgumentType], None raises TypeError
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
