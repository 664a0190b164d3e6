"""The charts of the results, drawn by matplotlib and kept as SVG.

The same results give the same file, byte for byte, so that a commit shows a chart only where its figures changed. Every
label is part of the layout, which makes room for it, and is drawn as outlines, because in a font of the viewer's own it
might not fit: so none is cut off. Only this module imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import NamedTuple, TypeAlias

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from bench.figures import Figure as Measured
from bench.figures import Results

Chart: TypeAlias = Figure
WIDTH, ROW, HEIGHT, PANEL = 10.5, 0.36, 5.0, 3.4
"""In inches, at 72 points each: of all charts, of one bar, of the curves, of a row of panels."""
MARGIN = 0.12
"""Around the whole, in inches."""
MULTIPLE_MAX = 4
"""Bars end here, in multiples of the target."""
MET, MISSED, GREY = "#2a7f62", "#c0504d", "#666666"


class Point(NamedTuple):
    nodes: int
    mean: float
    worst: float


class Curve(NamedTuple):
    name: str
    colour: str
    measured: Sequence[Point]
    bound: Sequence[float]
    """At most so many, for each of the points."""


class Series(NamedTuple):
    """One line through a panel: of each of its steps the median, least and most, or None where nothing was measured."""

    name: str
    colour: str
    told: Sequence[tuple[float, float, float] | None]


class Panel(NamedTuple):
    title: str
    steps: Sequence[str]
    series: Sequence[Series]
    level: tuple[str, float] | None = None
    """A limit, as a dashed line."""
    is_logarithmic: bool = False


def bars(results: Results) -> Chart:
    """Each figure that has a target as a bar, in multiples of it, so that all fit one scale; longer is better."""
    figures = [figure for figure in results.figures if figure.target]
    chart = Figure(figsize=(WIDTH, ROW * (len(figures) + 3)), layout=_layout())
    axes = chart.subplots()
    multiples = []
    for figure in figures:
        assert figure.target is not None
        multiples.append(figure.target / figure.value if figure.at_most else figure.value / figure.target)
    rows = range(len(figures))
    lengths = [min(multiple, MULTIPLE_MAX) for multiple in multiples]
    axes.barh(rows, lengths, height=0.66, color=[MET if figure.met else MISSED for figure in figures])
    axes.axvline(1, color="black", linewidth=1, linestyle="--")
    axes.set_yticks(rows, [figure.name for figure in figures])
    axes.set_ylim(len(figures) - 0.4, -0.6)
    axes.set_xlim(0, MULTIPLE_MAX)
    axes.set_xticks(range(MULTIPLE_MAX + 1))
    values = axes.secondary_yaxis("right")
    values.set_yticks(rows, [_told(figure) for figure in figures])
    values.tick_params(length=0)
    values.spines[:].set_visible(False)
    axes.set_title("Measured, in multiples of the target", loc="left", fontweight="bold")
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    axes.set_xlabel(f"times the target (bars end at {MULTIPLE_MAX}); longer is better\n{machine}", color=GREY)
    _tidy(axes)
    return chart


def curves(title: str, shown: Sequence[Curve]) -> Chart:
    """Rounds over the size of the cluster: a line through the means, with a whisker up to the worst, below its bound as
    a dashed line. The size goes by its logarithm, so that what grows with it is straight."""
    chart = Figure(figsize=(WIDTH, HEIGHT), layout=_layout())
    axes = chart.subplots()
    axes.set_xscale("log")
    for curve in shown:
        nodes = [point.nodes for point in curve.measured]
        means = [point.mean for point in curve.measured]
        above = [point.worst - point.mean for point in curve.measured]
        axes.errorbar(nodes, means, [[0.0] * len(nodes), above], color=curve.colour, marker="o", capsize=4)
        axes.plot(nodes, curve.bound, color=curve.colour, linestyle="--", linewidth=1)
        # One above its line's end, the other below: the bound of one curve may be close to the means of another.
        _label(axes, nodes[-1], curve.bound[-1], f"{curve.name}: at most", curve.colour, "bottom")
        _label(axes, nodes[-1], means[-1], f"{curve.name}: mean, worst", curve.colour, "top")
    sizes = sorted({point.nodes for curve in shown for point in curve.measured})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.02)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#dddddd")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("nodes", color=GREY)
    axes.set_ylabel("rounds", color=GREY)
    _tidy(axes)
    return chart


def panels(shown: Sequence[Panel], note: str) -> Chart:
    """Two in a row, each with its lines and, as whiskers, the rounds; `note` stands below."""
    rows = (len(shown) + 1) // 2
    chart = Figure(figsize=(WIDTH, PANEL * rows), layout=_layout())
    for axes, panel in zip(chart.subplots(rows, 2, squeeze=False).flat, shown, strict=True):
        for series in panel.series:
            told = [(step, each) for step, each in enumerate(series.told) if each is not None]
            medians = [each[0] for _, each in told]
            whiskers = [[each[0] - each[1] for _, each in told], [each[2] - each[0] for _, each in told]]
            steps = [step for step, _ in told]
            axes.errorbar(
                steps, medians, whiskers, color=series.colour, marker="o", markersize=4, capsize=3, label=series.name
            )
        if panel.level is not None:
            axes.axhline(panel.level[1], color=GREY, linewidth=1, linestyle="--", label=panel.level[0])
        if panel.is_logarithmic:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            set_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xticks(range(len(panel.steps)), panel.steps)
        axes.margins(x=0.08)
        axes.grid(axis="y", color="#dddddd")
        axes.set_title(panel.title, loc="left", fontweight="bold")
        if axes.has_data():
            axes.legend(frameon=False, fontsize="small")
        _tidy(axes)
    chart.supxlabel(note, color=GREY, fontsize="medium")
    return chart


def svg(chart: Chart) -> str:
    """The text of the file."""
    text = StringIO()
    # Ids are hashes, salted with a random number unless one is given; and neither a date nor a version goes in.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "bench"}):
        chart.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _told(figure: Measured) -> str:
    return f"{figure.shown} (target {figure.bound}{'' if figure.met else ', MISSED'})"


def _label(axes: Axes, nodes: int, rounds: float, text: str, colour: str, side: str) -> None:
    axes.annotate(text, (nodes, rounds), xytext=(10, 0), textcoords="offset points", color=colour, va=side)


def _tidy(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _layout() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=MARGIN)
