"""Line charts as inline SVG: axes with round numbers, colours by the page's style sheet (light and dark)."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from evaluation.report.curves import Curve, smooth, thin

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 92, 14, 34
POINTS = 400  # of a curve: about one a pixel
TINY = 1e-300  # a smaller range is none: its parts would be rounded to zero
LOG_RANGE = 30  # a curve that falls by more is drawn on a logarithmic axis


class Axis(NamedTuple):
    """A range of values and where on the page it lies."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies, in pixels."""
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def line_chart(curves: Sequence[Curve], title: str) -> str:
    """An SVG of up to four curves over steps; a long one is drawn faint with its running mean on top."""
    curves = [curve for curve in curves if curve.steps]
    if not curves:
        raise ValueError(f"The chart '{title}' has no curve.")
    drawn = [
        (curve, smooth(curve, len(curve.steps) // 40) if len(curve.steps) > 120 else None) for curve in curves
    ]
    x = _linear([step for curve in curves for step in curve.steps], LEFT, WIDTH - RIGHT, from_zero=True)
    y = _vertical(drawn)
    parts = [_grid(x, y)]
    ends = []
    for place, (curve, mean) in enumerate(drawn):
        if mean is not None:
            parts.append(f'<path class="line raw c{place}" d="{_path(thin(curve, POINTS), x, y)}"/>')
        line = mean or curve
        parts.append(f'<path class="line c{place}" d="{_path(thin(line, POINTS), x, y)}"/>')
        ends.append((_inside(y, line.values[-1]), place, curve.name, line.values[-1]))
    parts += _end_labels(ends, x)
    label = escape(f"{title}: " + ", ".join(f"{name} ends at {value:.4g}" for _, _, name, value in ends))
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`, about `count` of them."""
    span = high - low
    rough = span / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times each power of ten from `low` to `high`, the powers alone where that is many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 100 else (1,)
    return [f * 10.0**p for p in powers for f in factors if low * 0.999 <= f * 10.0**p <= high * 1.001]


def _linear(values: Sequence[float], start: float, end: float, *, from_zero: bool) -> Axis:
    low, high = min(values), max(values)
    low = min(low, 0.0) if from_zero else low
    if high - low < TINY:
        half = abs(high) / 2 if abs(high) > TINY else 0.5
        low, high = low - half, high + half
    return Axis(low, high, start, end)


def _vertical(drawn: Sequence[tuple[Curve, Curve | None]]) -> Axis:
    """The range of the curves without the first 2 % of steps, beside which the rest would be flat.

    Of a raw curve under its mean, the outermost values on either side may leave it.
    """
    settled = []
    for curve, mean in drawn:
        late = curve.values[len(curve.values) // 50 :]
        if mean is not None:
            late = sorted(late)[len(late) // 100 : -(len(late) // 100) or None]
            late += mean.values[len(mean.values) // 50 :]
        settled += late
    if min(settled) > 0 and max(settled) / min(settled) > LOG_RANGE:
        return Axis(min(settled) / 1.1, max(settled) * 1.1, HEIGHT - BOTTOM, TOP, log=True)
    axis = _linear(settled, HEIGHT - BOTTOM, TOP, from_zero=False)
    margin = (axis.high - axis.low) * 0.06
    return axis._replace(low=axis.low - margin, high=axis.high + margin)


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    for value in log_ticks(y.low, y.high) if y.log else ticks(y.low, y.high):
        level, edge = f"{y.place(value):.1f}", LEFT - 8
        parts.append(f'<path class="grid" d="M{LEFT} {level}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{edge}" y="{level}" dy=".32em" text-anchor="end">{_short(value)}</text>'
        )
    for value in ticks(x.low, x.high):
        column = f"{x.place(value):.1f}"
        parts.append(
            f'<text class="tick" x="{column}" y="{HEIGHT - 14}" text-anchor="middle">{_short(value)}</text>'
        )
    parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT + 10}" y="{HEIGHT - 14}">steps</text>')
    return "".join(parts)


def _path(curve: Curve, x: Axis, y: Axis) -> str:
    points = (f"{x.place(s):.1f} {_inside(y, v):.1f}" for s, v in zip(curve.steps, curve.values, strict=True))
    return "M" + "L".join(points)


def _inside(axis: Axis, value: float) -> float:
    return axis.place(min(max(value, axis.low), axis.high))


def _end_labels(ends: Sequence[tuple[float, int, str, float]], x: Axis) -> list[str]:
    """Name and last value at the end of each line, pushed apart where they would overlap."""
    parts = []
    lowest = HEIGHT - BOTTOM - 18
    levels = _spread([level for level, *_ in sorted(ends)], 30, lowest)
    for level, (_, place, name, value) in zip(levels, sorted(ends), strict=True):
        parts.append(
            f'<text class="end c{place}" x="{x.end + 8:.0f}" y="{level:.1f}" dy=".1em">{escape(name)}'
            f'<tspan x="{x.end + 8:.0f}" dy="1.15em" class="value">{value:.3g}</tspan></text>'
        )
    return parts


def _spread(levels: Sequence[float], gap: float, lowest: float) -> list[float]:
    """The rising `levels`, moved as little as needed to be `gap` apart and none beyond `lowest`."""
    placed = []
    for level in levels:
        placed.append(max(level, placed[-1] + gap) if placed else level)
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], lowest)
        lowest = placed[index] - gap
    return placed


def _short(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}"
