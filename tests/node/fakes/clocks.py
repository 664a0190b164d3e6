"""Clocks that stand in for a machine's, and the place where a node's clock keeps what it must know after a restart.

`HandTime` moves only when told, `LoopTime` with a loop whose time is virtual, and `SteadyTime` with the machine's, but
without what the process of the test was kept from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from node.timing.clock import Memory
from node.timing.system_time import SystemTime

STARTED_S = 1000.0
"""What the monotonic clocks here show at first."""
WALL_START_MS = 1_000_000
"""What the wall clocks here show at first."""
LOOK_S = 0.05
"""A steady loop waits no longer than this without a look at the clock, so that waiting is no pause."""
MOMENT_S_MAX = 0.1
"""The most that passes between two looks at the clock; a fraction of the pause that a node notices."""


class HandTime:
    """Stands in for the clocks of a machine: `now` is set by hand, in seconds, and the wall clock goes along with it
    unless it is set too."""

    def __init__(self, wall_ms: int = WALL_START_MS) -> None:
        self.now = STARTED_S
        self.booted = "first"
        self.set_wall(wall_ms)

    def set_wall(self, wall_ms: int) -> None:
        self._wall_ahead_ms = wall_ms - int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    def boot_id(self) -> str:
        return self.booted

    def wall(self) -> float:
        return self.now + self._wall_ahead_ms / 1000

    def wall_ms(self) -> int:
        return int(self.now * 1000) + self._wall_ahead_ms


class LoopTime:
    """Stands in for the clocks of a machine in a loop whose time is virtual: of several in one loop, no two need show
    the same."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        started_s: float = STARTED_S,
        wall_start_ms: int = WALL_START_MS,
    ) -> None:
        """What they show when the loop's time is 0; by default, that of the loop which is running."""
        self._loop = loop or asyncio.get_running_loop()
        self._started_s = started_s
        self._wall_start_ms = wall_start_ms

    def monotonic(self) -> float:
        return self._loop.time() + self._started_s

    def wall(self) -> float:
        return self._wall_start_ms / 1000 + self._loop.time()

    def wall_ms(self) -> int:
        return self._wall_start_ms + int(self._loop.time() * 1000)

    def boot_id(self) -> str:
        return "only"

    def of_loop(self, monotonic: float) -> float:
        """What the loop's clock shows at that moment: the same for all machines."""
        return monotonic - self._started_s

    def set_wall_ahead(self, ms: int) -> None:
        """Set the wall clock ahead, or back, by so much."""
        self._wall_start_ms += ms

    def stand_still(self, seconds: float) -> None:
        """The monotonic clock has stood still for so long, until now."""
        self._started_s -= seconds

    def jump(self, seconds: float) -> None:
        """Go on by so much, without anything being run that would have been due meanwhile."""
        self._started_s += seconds
        self._wall_start_ms += int(seconds * 1000)


class SteadyTime(SystemTime):
    """Stands in for the time of the machine where several nodes share the process of their test, without what that
    process was kept from.

    Where a machine is busy, such nodes are paused all at once, and their clients with them. By the machine's clock each
    of them would find that it had been away, and reset its clients, as it should: another one might have taken its
    place. But here none could, and a test that looks at one answer would see an excuse instead. So by the clock of
    their loop, and theirs, no moment takes longer than `MOMENT_S_MAX`: the rest does not count.

    It is the time of the loop that runs when it is made, which is steady from then on.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        _make_steady(self._loop)
        self._wall_ahead_s = time.time() - self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return self._loop.time() + self._wall_ahead_s

    def wall_ms(self) -> int:
        return int(self.wall() * 1000)


class SteadyClock:
    """Shows what `machine` shows, but counts at most `MOMENT_S_MAX` from one look to the next."""

    def __init__(self, machine: Callable[[], float]) -> None:
        self._machine = machine
        self._looked_at = self._now = machine()

    def __call__(self) -> float:
        at = self._machine()
        self._now += min(at - self._looked_at, MOMENT_S_MAX)
        self._looked_at = at
        return self._now


def _make_steady(loop: asyncio.AbstractEventLoop) -> None:
    if isinstance(loop.time, SteadyClock):
        return
    selector: Any = loop._selector  # type: ignore[attr-defined]
    select = selector.select
    selector.select = lambda timeout=None: select(LOOK_S if timeout is None else min(timeout, LOOK_S))
    loop.time = SteadyClock(loop.time)  # type: ignore[method-assign]


class ClockMemory:
    """Stands in for the store as far as a hybrid clock uses it: keeps its `memory`, and counts how often that was
    `written`."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.written = 0

    async def remember(self, memory: Memory) -> None:
        await asyncio.sleep(0)
        self.memory = memory
        self.written += 1
