"""Time for nodes that share the process of their test: without what that process was kept from.

Where a machine is busy, such nodes stand still all at once, and their clients with them. By the machine's clock each of
them would find that it had been away, and reset its clients, as it should: another one might have taken its place. But
here none could, and a test that looks at one answer would see an excuse instead. So by the clock of their loop, and
theirs, no moment takes longer than `MOMENT_S_MAX`: what is beyond that has not been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from node.timing.clock import SystemTime

LOOK_S = 0.05
"""The loop waits no longer without a look at the clock, so that waiting is no standstill."""
MOMENT_S_MAX = 0.1
"""Between two looks at the clock; a fraction of the standstill that a node notices."""


class SteadyTime(SystemTime):
    """That of the loop which runs at its making, from then on steady."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        _make_steady(self._loop)

    def monotonic(self) -> float:
        return self._loop.time()


class _Clock:
    def __init__(self, machine: Callable[[], float]) -> None:
        self._machine = machine
        self._looked_at = self._now = machine()

    def __call__(self) -> float:
        at = self._machine()
        self._now += min(at - self._looked_at, MOMENT_S_MAX)
        self._looked_at = at
        return self._now


def _make_steady(loop: asyncio.AbstractEventLoop) -> None:
    if isinstance(loop.time, _Clock):
        return
    selector: Any = loop._selector  # type: ignore[attr-defined]
    select = selector.select
    selector.select = lambda timeout=None: select(LOOK_S if timeout is None else min(timeout, LOOK_S))
    loop.time = _Clock(loop.time)  # type: ignore[method-assign]
