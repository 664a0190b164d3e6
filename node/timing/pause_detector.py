"""How a process finds out that it was paused, or starved of its processor.

A time in which nothing of this process ran is a pause. That a timer is late is none: two thousand requests in one turn
of the loop are no reason to stop serving. Pure: the time is an argument.
"""

from __future__ import annotations


class PauseDetector:
    """`limit_s`: a shorter gap is no pause. `now`: monotonic seconds."""

    def __init__(self, limit_s: float, now: float) -> None:
        self._limit_s = limit_s
        self._ran_at = now

    def note_running(self, now: float) -> float:
        """The process runs. Returns for how long it was paused before this moment, 0 if it was not."""
        gap_s, self._ran_at = now - self._ran_at, now
        return gap_s if gap_s > self._limit_s else 0.0
