"""How late the loop is for what is due: what everybody waits for besides their own work.

It is told of each tick of a timer. Pure: the time is an argument.
"""

from __future__ import annotations

from node.histogram import SECONDS, Histogram

WINDOW_S = 5.0
"""The longest of the last one to two windows is what `worst_s` tells: somebody who asks now and then misses none."""


class LoopLag:
    def __init__(self) -> None:
        self.ticks = Histogram(SECONDS)
        """By how much each was late."""
        self._window = 0
        self._worst_s = 0.0
        self._worst_before_s = 0.0
        """In the window before."""

    def note(self, late_s: float, now: float) -> None:
        """A tick was late by so much; `now`: monotonic."""
        self._turn_to(now)
        self.ticks.observe(max(0.0, late_s))
        self._worst_s = max(self._worst_s, late_s)

    def worst_s(self, now: float) -> float:
        """The longest that a tick was late lately."""
        self._turn_to(now)
        return max(self._worst_s, self._worst_before_s)

    def _turn_to(self, now: float) -> None:
        window = int(now / WINDOW_S)
        if window != self._window:
            is_next = window == self._window + 1
            self._window, self._worst_before_s, self._worst_s = window, self._worst_s if is_next else 0.0, 0.0
