"""Whether the disk hangs: whether the commit under way has taken longer than a healthy disk ever does.

What queues behind such a commit is refused, and so is whatever comes until it ends. Kept, it would wait for minutes
with nobody left to hear of it, and then happen all at once. A refusal is an answer that others can go by: a client's
request is brought to another owner, a co-owner goes on without this node. The commit itself is waited for, since nobody
can tell whether it will be on the disk.

Only the time counts in which this process ran: one that was paused in the middle of a commit has no hint of how long
that took. Knows the loop, for its timer; not what a commit is. While commits are quick, it costs one look at a clock
for each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from node.timing.running import RunningTime

_log = logging.getLogger(__name__)

HANGS = "the disk hangs"
TICKS = 20
"""So small a part of the limit may a pause add to a commit."""
MOMENT_S = 0.001
"""So early is in time: a shorter wait may be none at all."""


class StallWatch:
    """`refuse_queue` is called when a commit has taken `limit_s`; until that one ends, `has_stalled`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_s: float, refuse_queue: Callable[[], None]) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._time = RunningTime(limit_s / TICKS, loop)
        self._refuse_queue = refuse_queue
        self._began: float | None = None
        """When the commit under way began; None: there is none."""
        self._timer: asyncio.TimerHandle | None = None
        self.has_stalled = False

    def begin(self) -> None:
        """A commit is under way."""
        self._began = self._time.now()
        if self._timer is None and not self._loop.is_closed():
            self._timer = self._loop.call_later(self._limit_s, self._look)

    def end(self) -> None:
        """It is over."""
        self._began = None
        if self.has_stalled:
            self.has_stalled = False
            _log.info("the disk hangs no longer")

    def left_s(self) -> float:
        """How long the commit under way may still take."""
        return 0.0 if self._began is None else max(0.0, self._began + self._limit_s - self._time.now())

    def close(self) -> None:
        self._time.close()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """One timer serves for all the commits that begin before it is due."""
        self._timer = None
        if self._began is None or self.has_stalled:
            return
        left_s = self._began + self._limit_s - self._time.now()
        if left_s > MOMENT_S:
            self._timer = self._loop.call_later(left_s, self._look)
            return
        self.has_stalled = True
        _log.error("the disk hangs: a commit has taken %.1f s; writes are refused until it ends", self._limit_s)
        self._refuse_queue()
