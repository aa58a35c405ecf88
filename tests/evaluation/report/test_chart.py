"""Charts put values where they belong."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaluation.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, line_chart, log_ticks, ticks
from evaluation.report.curves import Curve
from evaluation.report.histogram import histogram


def points(svg: str, kind: str = "line c0") -> list[tuple[float, float]]:
    path = re.search(rf'class="{kind}" d="M([^"]+)"', svg)
    assert path is not None
    return [tuple(map(float, pair.split())) for pair in path[1].split("L")]  # pyright: ignore[reportReturnType]


def test_a_straight_line_is_straight_and_spans_the_steps():
    drawn = points(line_chart([Curve("a", [0, 50, 100], [2, 4, 6])], "t"))
    assert drawn[0][0] == LEFT
    assert drawn[-1][0] == WIDTH - RIGHT
    assert drawn[1] == pytest.approx(
        ((drawn[0][0] + drawn[2][0]) / 2, (drawn[0][1] + drawn[2][1]) / 2), abs=0.1
    )
    assert drawn[0][1] > drawn[2][1]  # larger is higher


def test_a_curve_of_many_magnitudes_is_logarithmic():
    values = [10.0 ** (-k / 10) for k in range(31)]
    heights = [y for _, y in points(line_chart([Curve("a", list(range(31)), values)], "t"))]
    steps = [after - before for before, after in pairwise(heights)]
    assert max(steps) - min(steps) < 0.25  # an exponential is straight


@example([5e-324])
@example([0.0, 1e-310])
@given(st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=300))
def test_every_point_lies_inside_the_axes_and_the_svg_is_well_formed(values):
    svg = line_chart([Curve("a<b", [float(k) for k in range(len(values))], values)], "x & y")
    ET.fromstring(svg)
    for x, y in points(svg):
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1


def test_a_long_curve_has_its_running_mean_on_top():
    noisy = Curve("a", [float(k) for k in range(500)], [5 + (-1) ** k for k in range(500)])
    svg = line_chart([noisy], "t")
    raw = [y for _, y in points(svg, "line raw c0")]
    mean = [y for _, y in points(svg)]
    assert max(mean[50:]) - min(mean[50:]) < 0.2 * (max(raw) - min(raw))


def test_names_at_the_ends_do_not_overlap():
    curves = [Curve(name, [0, 10], [1.0, 1.001 * k]) for k, name in enumerate(("a", "b", "c"), start=1)]
    same = [Curve(name, [0, 10], [1.0, 0.5]) for name in ("a", "b", "c")]
    for group in (curves, same):
        levels = sorted(
            float(y) for y in re.findall(r'class="end c\d" x="\d+" y="([\d.]+)"', line_chart(group, "t"))
        )
        assert all(below - above >= 29.9 for above, below in pairwise(levels))
        assert levels[-1] < HEIGHT - BOTTOM


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e5))
def test_ticks_are_round_even_and_inside(low, span):
    marks = ticks(low, low + span)
    assert 2 <= len(marks) <= 12
    assert low - span * 1e-6 <= marks[0]
    assert marks[-1] <= low + span * (1 + 1e-6)
    step = (marks[-1] - marks[0]) / (len(marks) - 1)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - round_number) for round_number in (1, 2, 5, 10)) < 1e-3


def test_logarithmic_ticks_are_one_two_five():
    assert log_ticks(0.009, 0.3) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2])


def test_a_chart_without_a_curve_is_refused():
    with pytest.raises(ValueError, match="no curve"):
        line_chart([Curve("a", [], [])], "t")


def test_bars_of_a_histogram_grow_with_the_counts_and_thresholds_lie_on_their_value():
    entry = {
        "score": "s",
        "edges": [0, 1, 2, 3, 4],
        "counts": [1, 4, 0, 16],
        "lines": [{"at": 2, "says": ">= 2"}],
    }
    svg = histogram(entry)
    ET.fromstring(svg)
    heights = [float(h) for h in re.findall(r'class="count"[^>]* height="([\d.]+)"', svg)]
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.02)
    assert heights[2] == pytest.approx(4 * heights[0], rel=0.02)
    assert 'class="threshold" d="M130.0 ' in svg
