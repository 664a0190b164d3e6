"""Counts by size, as plain integers: cheap enough for what each request does. What they say is for `api.metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""From a read that needs nobody to a disk that hangs."""


class Histogram:
    """`bounds`: ascending; what is equal to one is counted below it."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        """Between two bounds each; the last: above all."""
        self.total = 0.0
        """The sum of all that was observed."""

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """What so large a part of what was observed was at most, evenly spread within a bucket; `counts`: as in a
    `Histogram`. None: nothing was observed. What is above all bounds counts as the highest."""
    wanted, counted, below = share * sum(counts), 0, 0.0
    if not wanted:
        return None
    for bound, count in zip(bounds, counts, strict=False):
        if counted + count >= wanted:
            return below + (bound - below) * (wanted - counted) / count
        counted, below = counted + count, bound
    return below
