"""How long requests took, counted by classes that are a sixty-fourth wide, so that rounds can be added up.

After HdrHistogram (Gil Tene): a percentile is told as the upper end of its class, at most 1.6% more than it was and
never less.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

CLASSES_BITS = 6
"""Each power of two is cut into so many bits' worth of classes."""
NS_PER_MS = 1_000_000


class Histogram:
    """Of times in nanoseconds, none of them negative."""

    def __init__(self, taken_ns: Iterable[int] = ()) -> None:
        self._counts = Counter(map(_class_of, taken_ns))
        self.count = self._counts.total()

    @classmethod
    def counted(cls, counts: Iterable[tuple[int, int]]) -> Histogram:
        """The one that `counts` was taken from."""
        histogram = cls()
        histogram._counts.update(dict(counts))
        histogram.count = histogram._counts.total()
        return histogram

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Of all that each of them has counted."""
        whole: Counter[int] = Counter()
        for histogram in histograms:
            whole.update(histogram._counts)
        return cls.counted(whole.items())

    def counts(self) -> list[tuple[int, int]]:
        """Of each class that has any: its number, and how many."""
        return sorted(self._counts.items())

    def percentile_ms(self, share: float) -> float:
        """What at least `share` of all did not exceed. Raises ValueError where nothing was counted."""
        if not self.count:
            raise ValueError("a percentile of nothing")
        rank, seen = max(1, math.ceil(share * self.count)), 0
        for number, count in self.counts():
            seen += count
            if seen >= rank:
                return _last_of(number) / NS_PER_MS
        raise AssertionError("fewer counted than are there")


def _class_of(taken_ns: int) -> int:
    shift = max(0, taken_ns.bit_length() - CLASSES_BITS - 1)
    return (shift << CLASSES_BITS) + (taken_ns >> shift)


def _last_of(number: int) -> int:
    """The longest time of a class."""
    shift = max(0, (number >> CLASSES_BITS) - 1)
    first = number - (shift << CLASSES_BITS)
    return ((first + 1) << shift) - 1
