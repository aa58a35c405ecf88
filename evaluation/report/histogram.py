"""Histograms of scores as inline SVG, with the thresholds drawn in."""

from collections.abc import Mapping
from html import escape
from typing import Any

from evaluation.report.chart import ticks

WIDTH, HEIGHT = 260, 120
TOP, BOTTOM = 8, 22


def histogram(entry: Mapping[str, Any]) -> str:
    """An SVG of `{"score", "edges" [n + 1], "counts" [n], "lines": [{"at", "says"}]}`; a line is a threshold.

    Heights are square roots of the counts: a rule cuts off tails, and tails must be seen.
    """
    edges, counts = entry["edges"], entry["counts"]
    low, high = edges[0], edges[-1]
    span = (high - low) or 1.0
    top = max(counts) ** 0.5 or 1.0

    def place(value: float) -> float:
        return min(max((value - low) / span, 0.0), 1.0) * WIDTH

    floor = HEIGHT - BOTTOM
    parts = []
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        height = count**0.5 / top * (floor - TOP)
        if count:
            width = max(place(right) - place(left) - 0.6, 0.8)
            shape = (
                f'x="{place(left):.1f}" y="{floor - height:.1f}" width="{width:.1f}" height="{height:.1f}"'
            )
            parts.append(f'<rect class="count" {shape}/>')
    for line in entry["lines"]:
        parts.append(f'<path class="threshold" d="M{place(line["at"]):.1f} {TOP - 6}V{floor}"/>')
    parts.append(f'<path class="axis" d="M0 {floor}H{WIDTH}"/>')
    for value in ticks(low, high, 3) if high > low else [low]:
        anchor = "start" if place(value) < 12 else "end" if place(value) > WIDTH - 16 else "middle"
        where = f'x="{place(value):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}"'
        parts.append(f'<text class="tick" {where}>{value:g}</text>')
    says = ", ".join(line["says"] for line in entry["lines"])
    label = escape(f"{entry['score']} of {sum(counts):,} clips; passes: {says}")
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )
