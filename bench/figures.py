"""What one run has measured, in the three forms in which it is kept: a table for the terminal, JSON, a chart; and on
which machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from html import escape

import msgspec


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    """Whether the target is an upper bound; else a lower one."""
    detail: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def shown(self) -> str:
        return f"{_number(self.value)} {self.unit}"

    @property
    def bound(self) -> str:
        return "" if self.target is None else f"{'<=' if self.at_most else '>='} {_number(self.target)} {self.unit}"

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]


class Results(msgspec.Struct, frozen=True):
    machine: dict[str, str]
    figures: list[Figure]


def machine() -> dict[str, str]:
    """What is worth knowing about the machine of a run."""
    return {
        "processors": str(os.cpu_count()),
        "Python": platform.python_version(),
        "kernel": platform.release(),
    }


def table(figures: Sequence[Figure]) -> str:
    rows = [(figure.name, figure.shown, figure.bound, figure.verdict, figure.detail) for figure in figures]
    heads = ("", "measured", "target", "", "")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(5)]
    lines = []
    for name, *rest in (heads, *rows):
        cells = [name.ljust(widths[0]), rest[0].rjust(widths[1]), rest[1].rjust(widths[2])]
        lines.append("  ".join([*cells, rest[2].ljust(widths[3]), rest[3]]).rstrip())
    return "\n".join(lines)


ROW, LEFT, WIDTH, RIGHT, SCALE = 30, 250, 400, 320, 4
"""In pixels; the bars end at `SCALE` times the target, which is a line at 1."""


def chart(results: Results) -> str:
    """Each figure that has a target as a bar, in multiples of it, so that all fit one scale; longer is better."""
    figures = [figure for figure in results.figures if figure.target]
    height = ROW * len(figures) + 78
    line = LEFT + WIDTH / SCALE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="12" y="24" font-size="15" font-weight="bold">Measured, in multiples of the target</text>',
    ]
    for row, figure in enumerate(figures):
        assert figure.target is not None
        top = 40 + ROW * row
        reached = figure.target / figure.value if figure.at_most else figure.value / figure.target
        length = WIDTH * min(reached, SCALE) / SCALE
        colour = "#2a7f62" if figure.met else "#c0504d"
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(figure.name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.0f}" height="{ROW - 10}" fill="{colour}"/>',
            f'<text x="{LEFT + WIDTH + 8}" y="{top + 15}">{escape(figure.shown)} ({escape(figure.bound)})</text>',
        ]
    bottom = 40 + ROW * len(figures)
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    parts += [
        f'<line x1="{line:.0f}" y1="34" x2="{line:.0f}" y2="{bottom}" stroke="#222" stroke-dasharray="4 3"/>',
        f'<text x="12" y="{bottom + 24}" fill="#666" font-size="11">{escape(machine)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2f}"
