"""Since when may what the loop delivers now have been waiting? A bound that costs nothing to ask for.

A loop that has much to do is late for what arrives, though its process is never paused. Each turn, it looks for what
has arrived, and delivers it. So whatever arrived before one tick of a timer has been delivered by the next one, as far
as it was being read then: between two ticks lies a whole turn. The bound is as loose as two ticks are far apart; a loop
that is late makes it looser by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from node.timing.loop_lag import LoopLag


class Turns:
    """Needs a running loop; ticks every `tick_s` until `close`. `monotonic`: seconds."""

    def __init__(self, tick_s: float, monotonic: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tick_s = tick_s
        self.now = monotonic
        self.delivered_until = float("-inf")
        """What had arrived before this moment (monotonic), and was being read then, has been delivered."""
        self._ticked_at = float("-inf")
        self.lag = LoopLag()
        """How late the ticks are."""
        self._tick()

    def close(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self.delivered_until, self._ticked_at = self._ticked_at, self.now()
        if self.delivered_until != float("-inf"):
            self.lag.note(self._ticked_at - self.delivered_until - self._tick_s, self._ticked_at)
        self._timer = self._loop.call_later(self._tick_s, self._tick)
