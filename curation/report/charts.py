"""Histograms as SVG, drawn so that they can be read: axis, thresholds with their words, a text for readers
that see no picture."""

from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 150  # of the plot
TOP, BOTTOM, SIDE = 22, 20, 4
TICKS = 5


def number(value: float) -> str:
    """Three digits, large ones without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def histogram(entry: dict[str, Any]) -> Markup:
    """The histogram of one score (curation.report.facts); heights are square roots of counts."""
    low, high = entry["edges"][0], entry["edges"][-1]
    span = (high - low) or 1.0
    parts = [*_bars(entry["counts"]), *_axis(low, high)]
    for line in entry["lines"]:
        if low <= line["at"] <= high:
            parts.append(_threshold(SIDE + WIDTH * (line["at"] - low) / span, line["says"]))
    total = sum(entry["counts"])
    bounds = ", ".join(line["says"] for line in entry["lines"])
    ends = f"{number(low)} to {number(high)}"
    label = f"Histogram of {entry['score']}: {total} clips from {ends}; kept {bounds}."
    size = f"0 0 {WIDTH + 2 * SIDE} {HEIGHT + TOP + BOTTOM}"
    return Markup(
        f'<svg class="histogram" viewBox="{size}" role="img" aria-label="{escape(label)}">'
    ) + Markup("".join(parts) + "</svg>")


def _bars(counts: list[int]) -> list[str]:
    width, most = WIDTH / len(counts), max(counts) or 1
    found = []
    for k, count in enumerate(counts):
        if count:
            height = max(HEIGHT * (count / most) ** 0.5, 1.0)
            box = f'x="{SIDE + k * width:.1f}" y="{TOP + HEIGHT - height:.1f}" width="{width - 1:.1f}"'
            found.append(f'<rect {box} height="{height:.1f}"><title>{count}</title></rect>')
    return found


def _axis(low: float, high: float) -> list[str]:
    base = TOP + HEIGHT
    found = [f'<line class="axis" x1="{SIDE}" x2="{SIDE + WIDTH}" y1="{base}" y2="{base}"/>']
    for k in range(TICKS):
        part = k / (TICKS - 1)
        side = ("start", "middle", "middle", "middle", "end")[k]
        text = number(low + part * (high - low))
        place = f'x="{SIDE + part * WIDTH:.1f}" y="{base + 15}" text-anchor="{side}"'
        found.append(f"<text {place}>{text}</text>")
    return found


def _threshold(x: float, says: str) -> str:
    side = "end" if x > WIDTH * 0.7 else "start"
    shift = -5 if side == "end" else 5
    line = f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{TOP + HEIGHT}"/>'
    text = f'<text class="threshold" x="{x + shift:.1f}" y="14" text-anchor="{side}">{escape(says)}</text>'
    return line + text
