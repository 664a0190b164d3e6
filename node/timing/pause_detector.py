"""How a process finds out that it was paused, or starved of its processor, or its machine suspended.

A time in which nothing of this process ran is a pause. That a timer is late is none: two thousand requests in one turn
of the loop are no reason to stop serving. Pure: the time is an argument.

Not every clock goes on while a process stands still. The monotonic one here does when its machine is suspended; but
one that runs on another machine, which stops it, may find its monotonic clocks where they were, and only its wall clock
set. So what is looked at all the time is the wall clock: it shows a pause, or jumps at its end. It may also be set
without any pause; then others are asked in vain, once. One that is set back hides how much time has passed, so that
counts as a pause too. Only where it was set back during a pause, by as much as that took, nothing is seen of it at
first: for this the two clocks are compared now and then. Leases, which end by the monotonic clock, have ended by then.
"""

from __future__ import annotations


class PauseDetector:
    """`limit_s`: a shorter gap is no pause. `wall`, `monotonic`: seconds by these clocks, now."""

    def __init__(self, limit_s: float, wall: float, monotonic: float) -> None:
        self._limit_s = limit_s
        self._ran_at = wall
        self._apart_s = wall - monotonic

    def note_running(self, wall: float) -> float:
        """The process runs. Returns for how long it may have been paused before this moment, 0 if it was not."""
        gap_s, self._ran_at = wall - self._ran_at, wall
        return abs(gap_s) if gap_s > self._limit_s or gap_s < 0 else 0.0

    def begin_anew(self, wall: float, monotonic: float) -> None:
        """What was noticed is being seen to: it is not noticed once more by the other way."""
        self._ran_at, self._apart_s = wall, wall - monotonic

    def compare(self, wall: float, monotonic: float) -> float:
        """`note_running`, and whether one clock has jumped against the other since this was last asked."""
        jumped_s, self._apart_s = abs(wall - monotonic - self._apart_s), wall - monotonic
        return self.note_running(wall) or (jumped_s if jumped_s > self._limit_s else 0.0)
