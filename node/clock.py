"""Time, and the hybrid logical clock that stamps every write.

A reading is 48 bits of milliseconds and 16 of counter. It is never behind anything seen in a message, in the store or
in a context, so a write that follows another, by whatever way, has the higher version. It never steps back over a
restart either: a *ceiling* is on stable storage before any reading below it is used, and a node starts at its ceiling.
Without that, a node whose wall clock was set back while it was down would stamp new writes below the ones it has
acknowledged, and lose them.

After "Logical Physical Clocks" (Kulkarni et al., 2014), with the ceiling of Spanner-like leases in place of a wait.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from node.records import Version, clock_of, make_version

log = logging.getLogger(__name__)

CEILING_SPAN = 10_000 << 16
"""One durable write of the ceiling serves for 10 s of stamps."""

LEAD_MS_MAX = 24 * 3_600_000
"""No clock is this far ahead of another by accident."""

CLOCK_MAX = 1 << 63

COMPLAINT_S = 60.0
"""Between two complaints about readings that can only be wrong: whoever sends them sends many."""


class Time(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as far as this machine knows."""


class SystemTime:
    """The time of the machine."""

    monotonic = staticmethod(time.monotonic)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class HybridClock:
    """`ceiling`: the one that was stored; `store_ceiling` makes a new one durable."""

    def __init__(
        self, time: Time, store_id: int, ceiling: int, store_ceiling: Callable[[int], Awaitable[None]]
    ) -> None:
        self._time = time
        self._store_id = store_id
        self._reading = self._ceiling = ceiling
        self._beyond = 0
        """The last stamp given above a version that is too far ahead."""
        self._complained_at: float | None = None
        self._store_ceiling = store_ceiling

    @property
    def reading(self) -> int:
        """The highest reading given or seen; goes along with every message."""
        return self._reading

    @property
    def latest(self) -> int:
        """The highest reading that can be right; whatever is above must not spread."""
        return (self._time.wall_ms() + LEAD_MS_MAX + 1 << 16) - 1

    def observe(self, reading: int) -> None:
        """From now on, stamp above `reading`; unless it is so far ahead that it can only be wrong, and would spread."""
        if reading <= self._reading:
            return
        if self._is_absurd(reading):
            self._complain()
        else:
            self._reading = reading

    async def stamp(self) -> Version:
        """A version above everything given or seen so far."""
        self._reading = stamp = max(self._reading + 1, self._time.wall_ms() << 16)
        if stamp >= self._ceiling:
            ceiling = stamp + CEILING_SPAN
            await self._store_ceiling(ceiling)
            self._ceiling = max(self._ceiling, ceiling)
        return make_version(stamp, self._store_id)

    async def stamp_above(self, version: Version, lead_ms: int) -> Version:
        """A version above `version`, by `lead_ms` unless the wall clock is further. One that is so far ahead that it
        can only be wrong is passed for this once: the key must stay writable, and nobody may follow that clock."""
        reading = clock_of(version) + (lead_ms << 16)
        if not self._is_absurd(reading):
            self.observe(reading)
            return await self.stamp()
        self._beyond = max(self._beyond + 1, reading)
        return make_version(self._beyond, self._store_id)

    def _is_absurd(self, reading: int) -> bool:
        return reading > self.latest

    def _complain(self) -> None:
        now = self._time.monotonic()
        if self._complained_at is None or now - self._complained_at > COMPLAINT_S:
            self._complained_at = now
            log.error("ignored a clock reading more than %d h ahead", LEAD_MS_MAX // 3_600_000)
