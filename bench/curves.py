"""Rounds over the size of the cluster, drawn: the size by its logarithm, so that what grows with it is straight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 60, 50, 170, 50
"""In pixels; the last four are margins, and the names of the curves stand in the right one."""


class Point(NamedTuple):
    nodes: int
    mean: float
    worst: float


class Curve(NamedTuple):
    name: str
    colour: str
    measured: Sequence[Point]
    bound: Sequence[tuple[int, float]]


def curves(title: str, shown: Sequence[Curve]) -> str:
    """Each as a line through the means, with a whisker up to the worst, below its bound as a dashed line."""
    sizes = sorted({point.nodes for curve in shown for point in curve.measured})
    top = max(rounds for curve in shown for _, rounds in curve.bound)
    ticks = range(0, math.ceil(top) + 1, 10)
    decades = math.log10(sizes[-1] / sizes[0]) or 1

    def x(nodes: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(nodes / sizes[0]) / decades

    def y(rounds: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rounds / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for rounds in ticks:
        parts += [
            f'<line x1="{LEFT}" y1="{y(rounds):.0f}" x2="{WIDTH - RIGHT}" y2="{y(rounds):.0f}" stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{y(rounds) + 4:.0f}" text-anchor="end" fill="#666">{rounds}</text>',
        ]
    parts += [
        f'<text x="{x(nodes):.0f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="#666">{nodes:,}</text>'
        for nodes in sizes
    ]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) // 2}" y="{HEIGHT - 10}" text-anchor="middle" fill="#666">nodes</text>'
    )
    for curve in shown:
        measured = [(x(point.nodes), y(point.mean)) for point in curve.measured]
        bound = [(x(nodes), y(rounds)) for nodes, rounds in curve.bound]
        parts += [
            f'<polyline points="{_path(bound)}" fill="none" stroke="{curve.colour}" stroke-dasharray="4 3"/>',
            f'<polyline points="{_path(measured)}" fill="none" stroke="{curve.colour}" stroke-width="2"/>',
            # One a little above its line, the other below: of two curves they would else meet.
            _label(*bound[-1], -4, f"{curve.name}: at most", curve.colour),
            _label(*measured[-1], 12, f"{curve.name}: mean, worst", curve.colour),
        ]
        for (left, middle), point in zip(measured, curve.measured, strict=True):
            parts += [
                f'<line x1="{left:.0f}" y1="{middle:.1f}" x2="{left:.0f}" y2="{y(point.worst):.1f}" '
                f'stroke="{curve.colour}" stroke-width="2"/>',
                f'<circle cx="{left:.0f}" cy="{middle:.1f}" r="4" fill="{curve.colour}"/>',
            ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.0f},{y:.1f}" for x, y in points)


def _label(x: float, y: float, lower: float, text: str, colour: str) -> str:
    return f'<text x="{x + 12:.0f}" y="{y + lower:.1f}" fill="{colour}">{escape(text)}</text>'
