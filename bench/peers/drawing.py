"""The chart of a run: how many requests a second, by connections, and how long the slowest wait, by rate."""

from __future__ import annotations

from collections.abc import Callable

from bench.charts import Chart, Panel, Series, panels
from bench.peers.report import Results, Row
from bench.peers.rounds import DISK, FULL, at_rate, closed

COLOURS = {"node": "#2a7f62", "Redis": "#c0504d", "etcd": "#4f81bd", "answerer": "#999999"}
Point = tuple[float, float, float]


def chart(run: Results) -> Chart:
    connections = {closed(number): f"{number}" for number in FULL.connections}
    rates = {at_rate(per_second): f"{per_second:,}" for per_second in FULL.rates}
    disk = _row_of(run, *DISK)
    own_rate = None if disk is None else ("one fdatasync after the other", disk.per_second.median)
    own_p999 = None if disk is None or disk.p999_ms is None else ("fdatasync", disk.p999_ms)
    machine = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    return panels(
        [
            Panel("GET, requests/s, by connections", [*connections.values()], _series(run, "GET", connections, _rate)),
            Panel(
                "Durable PUT, requests/s, by connections",
                [*connections.values()],
                _series(run, "PUT", connections, _rate),
                own_rate,
            ),
            Panel(
                "GET, p99.9 in ms, by rate a second",
                [*rates.values()],
                _series(run, "GET", rates, _p999),
                is_logarithmic=True,
            ),
            Panel(
                "Durable PUT, p99.9 in ms, by rate a second",
                [*rates.values()],
                _series(run, "PUT", rates, _p999),
                own_p999,
                is_logarithmic=True,
            ),
        ],
        f"medians of {run.rounds} rounds, with the least and the most; {machine}",
    )


def _series(run: Results, what: str, steps: dict[str, str], of: Callable[[Row], Point | None]) -> list[Series]:
    """Of those that were asked for it at all."""
    series = []
    for name, colour in COLOURS.items():
        found = [_row_of(run, name, what, how) for how in steps]
        if any(found):
            series.append(Series(name, colour, [None if row is None else of(row) for row in found]))
    return series


def _row_of(run: Results, name: str, what: str, how: str) -> Row | None:
    return next((row for row in run.rows if (row.name, row.what, row.how) == (name, what, how)), None)


def _rate(row: Row) -> Point:
    return row.per_second.median, row.per_second.least, row.per_second.most


def _p999(row: Row) -> Point | None:
    return None if row.p999_ms is None else (row.p999_ms, row.p999_ms, row.p999_ms)
