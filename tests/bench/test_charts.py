"""Charts: every label is whole, and the same results give the same file."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from matplotlib.text import Text

from bench.charts import Chart, Curve, Point, bars, curves, svg
from bench.figures import Figure, Results

MACHINE = {"processors": "2", "kernel": "6.18"}
FIGURES = [
    Figure("bare GET", 30_000.0, "requests/s"),
    Figure("a figure with quite a long name: its bytes", 0.5, "of durable PUT of one copy", 0.6),
    Figure("memory", 20.0, "MB", 150.0, at_most=True),
]


def some_bars() -> Chart:
    return bars(Results(MACHINE, FIGURES))


def some_curves() -> Chart:
    points = [Point(10, 2.5, 4), Point(10_000, 8.0, 9)]
    return curves("Rounds", [Curve("a new view that all know", "#2a7f62", points, [10.0, 40.0])])


def labels(chart: Chart) -> set[str]:
    """The texts of a chart, which is checked to have room for all that is drawn."""
    chart.draw_without_rendering()
    drawn, width, height = chart.get_tightbbox(), *chart.get_size_inches()
    assert 0 <= drawn.x0 <= drawn.x1 <= width
    assert 0 <= drawn.y0 <= drawn.y1 <= height
    return {text.get_text() for text in chart.findobj(Text)}


def test_bars_label_every_figure_that_has_a_target_in_full() -> None:
    shown = labels(some_bars())
    assert "bare GET" not in shown
    assert "a figure with quite a long name: its bytes" in shown
    assert "0.50 of durable PUT of one copy (target >= 0.60, MISSED)" in shown
    assert "20 MB (target <= 150)" in shown
    assert any("processors 2, kernel 6.18" in label for label in shown)


def test_curves_label_every_curve_and_its_bound_in_full() -> None:
    shown = labels(some_curves())
    assert {"10", "10,000", "a new view that all know: at most", "a new view that all know: mean, worst"} <= shown


@pytest.mark.parametrize("draw", [some_bars, some_curves])
def test_svg_of_the_same_figures_is_the_same(draw: Callable[[], Chart]) -> None:
    text = svg(draw())
    assert text == svg(draw())
    assert "</svg>" in text
