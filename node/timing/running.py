"""How long this process has run: the time by which others are called silent.

A clock goes on while the process is paused, starved of its processor, or busy with one long turn of its loop. By it, a
peer whose answer has arrived meanwhile is overdue in the very moment in which the answer could be looked at, and a
question that could not even be sent has long been put. Whoever stood still must not say of another that it was silent.
So here is a clock that stands still with the loop: a timer keeps it going, and what the timer is late is left out.
"""

from __future__ import annotations

import asyncio


class RunningTime:
    """Until `close`."""

    def __init__(self, tick_s: float, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`tick_s`: so much of each pause may count as running; `loop`: by default, the one that is running."""
        self._loop = loop or asyncio.get_running_loop()
        self._loop_time = self._loop.time
        self._tick_s = tick_s
        self._stood_s = 0.0
        self._set_timer()

    def now(self) -> float:
        """Seconds; never ahead of the loop's time, and never steps back."""
        now = self._loop_time()  # Each call asks; `min` takes as long as all the rest.
        return (now if now < self._due else self._due) - self._stood_s

    def close(self) -> None:
        self._timer.cancel()

    def _set_timer(self) -> None:
        self._due = self._loop.time() + self._tick_s
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._stood_s += max(0.0, self._loop.time() - self._due)
        self._set_timer()
