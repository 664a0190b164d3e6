"""What is aimed at, as ratios of two lanes of one round, and what the rounds say of each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.peers.loads import Sample
from bench.peers.rounds import DISK, HALF, USUAL, Lane, Round, closed

Of = Callable[[Sample], float]
BUSY_MAX = 0.9
"""From this share of a processor on, the load may be what was measured."""


class Target(NamedTuple):
    name: str
    over: Lane
    under: Lane | None
    """None: what is measured is no ratio."""
    of: Of
    bound: float | None = None
    """None: a second opinion on the one before."""
    at_most: bool = False


class Told(NamedTuple):
    """Of the rounds in which both lanes were measured."""

    median: float
    least: float
    most: float
    is_load_the_limit: bool
    """Whether the load was about as busy as it can be, for one of them."""


def _rate(sample: Sample) -> float:
    return sample.per_second


def _p999_ms(sample: Sample) -> float:
    return sample.taken.percentile_ms(0.999)


def _cpu_us(sample: Sample) -> float:
    return sample.cpu_us


def _lane(name: str, method: str, connections: int, tool: str = "") -> Lane:
    return Lane(name, method, closed(connections) + (f", {tool}" if tool else ""))


def _rates(name: str, over: Lane, under: Lane, bound: float | None) -> Target:
    return Target(name, over, under, _rate, bound)


WRK, REDIS_BENCHMARK = "wrk", "redis-benchmark"
TARGETS = (
    _rates("GET / Redis GET, 32 connections", _lane("node", "GET", 32), _lane("Redis", "GET", 32), 1.0),
    _rates(
        "the same by wrk and redis-benchmark",
        _lane("node", "GET", USUAL, WRK),
        _lane("Redis", "GET", USUAL, REDIS_BENCHMARK),
        None,
    ),
    _rates("GET / smallest uvloop answerer", _lane("node", "GET", USUAL), _lane("answerer", "GET", USUAL), 0.75),
    _rates("the same by wrk", _lane("node", "GET", USUAL, WRK), _lane("answerer", "GET", USUAL, WRK), None),
    _rates("durable PUT / Redis SET always, 32 connections", _lane("node", "PUT", 32), _lane("Redis", "PUT", 32), 0.8),
    _rates(
        "the same by wrk and redis-benchmark",
        _lane("node", "PUT", USUAL, WRK),
        _lane("Redis", "PUT", USUAL, REDIS_BENCHMARK),
        None,
    ),
    _rates("the same, 128 connections", _lane("node", "PUT", 128), _lane("Redis", "PUT", 128), 0.6),
    _rates("durable PUT / etcd's gateway PUT", _lane("node", "PUT", USUAL), _lane("etcd", "PUT", USUAL), 4.0),
    _rates("the same by wrk", _lane("node", "PUT", USUAL, WRK), _lane("etcd", "PUT", USUAL, WRK), None),
    _rates("forwarded / owner: GET", _lane("forwarder", "GET", USUAL), _lane("owner", "GET", USUAL), 0.6),
    _rates("forwarded / owner: PUT", _lane("forwarder", "PUT", USUAL), _lane("owner", "PUT", USUAL), 0.85),
    _rates("PUT of two copies / one", _lane("two copies", "PUT", USUAL), _lane("one copy", "PUT", USUAL), 0.7),
    Target(
        "p99.9 of PUT at half of the largest rate / fdatasync p99.9",
        Lane("node", "PUT", HALF),
        DISK,
        _p999_ms,
        3.0,
        at_most=True,
    ),
    Target("CPU a durable PUT, us", _lane("node", "PUT", USUAL), None, _cpu_us, 45.0, at_most=True),
)


def told(target: Target, rounds: Sequence[Round]) -> Told | None:
    """None where no round has both lanes."""
    ratios, busiest = [], [0.0]
    for done in rounds:
        over, under = done.get(target.over), None if target.under is None else done.get(target.under)
        if over is None or (target.under is not None and under is None):
            continue
        ratios.append(target.of(over) / target.of(under) if under is not None else target.of(over))
        busiest += [each.busy for each in (over, under) if each is not None]
    if not ratios:
        return None
    is_load_the_limit = target.of is _rate and max(busiest) >= BUSY_MAX
    return Told(statistics.median(ratios), min(ratios), max(ratios), is_load_the_limit)
