"""Time, and the hybrid logical clock that stamps every write.

A reading is 48 bits of milliseconds and 16 of counter. It is never behind anything seen in a message, in the store or
in a context, so a write that follows another, in whatever way, has the higher version. Nor does it step back over a
restart: a *ceiling* is on stable storage before any reading below it is used, and a node starts at its ceiling. Without
that, a node whose wall clock was set back while it was down would stamp new writes below those it has acknowledged, and
lose them.

Between messages, a clock that is slower than others would fall behind what they have stamped. So a node goes by the
fastest wall clock that it has heard, its own included, and keeps on disk by how much that one leads its own. Only wall
clocks count for this. If readings counted too, each one that was pushed ahead of its time to pass another would push
all clocks ahead permanently. The lead is measured against the monotonic clock, so that a wall clock that is set forward
and back again and again counts only once.

After "Logical Physical Clocks" (Kulkarni et al., 2014), with the ceiling of Spanner-like leases in place of a wait.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Container
from typing import Annotated, NamedTuple, Protocol

import msgspec

from node.config import Config
from node.values.version import CLOCK_MAX, Version, clock_of, make_version, reading_at

log = logging.getLogger(__name__)


class Clocks(NamedTuple):
    """What a node's clocks show; a part of every message."""

    reading: Annotated[int, msgspec.Meta(ge=0, le=CLOCK_MAX - 1)]
    """Bounded so that a node that hears of one can stamp above it."""
    wall_ms: Annotated[int, msgspec.Meta(ge=0, le=(CLOCK_MAX - 1) >> 16)]


class Memory(NamedTuple):
    """What a clock must know when its process starts again."""

    ceiling: int = 0
    lead_ms: int = 0


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
    """`memory`: what `remember` has last made durable."""

    def __init__(
        self, config: Config, time: Time, store_id: int, memory: Memory, remember: Callable[[Memory], Awaitable[None]]
    ) -> None:
        self._config = config
        self._ceiling_span = reading_at(int(1000 * config.clock_ceiling_s))
        self._lead_ms_max = config.clock_lead_ms_max
        self._off_ms = config.clock_off_ms
        self._time = time
        self._store_id = store_id
        self._memory = memory
        self._remember = remember
        self._submitted = memory.ceiling
        """The highest ceiling that was given to `remember`, whether it has returned or not."""
        self._reading = memory.ceiling
        self._fastest_ms = time.wall_ms() + memory.lead_ms - int(time.monotonic() * 1000)
        """What the fastest wall clock showed when the monotonic one was at 0."""
        self._beyond = 0
        """The last stamp that was given above a version which is too far ahead."""
        self._complained_at: float | None = None
        self.offsets_ms: dict[str, int] = {}
        """By how much the wall clock of each peer was ahead of this node's when it was last heard."""

    @property
    def reading(self) -> int:
        """The highest reading given or seen."""
        return self._reading

    @property
    def clocks(self) -> Clocks:
        return Clocks(self._reading, self._time.wall_ms())

    @property
    def latest(self) -> int:
        """The highest reading that can be right; what is above it must not spread."""
        return reading_at(self._time.wall_ms() + self._lead_ms_max + 1) - 1

    def now_ms(self) -> int:
        """The time by the fastest wall clock: of those that were heard or noticed, and of this machine's own now."""
        return max(int(self._time.monotonic() * 1000) + self._fastest_ms, self._time.wall_ms())

    def notice_wall(self) -> int:
        """Take note of what this machine's wall clock shows: stamps go on from there, even if it is set back first.
        Returns the time by the fastest wall clock, as `now_ms` does."""
        monotonic_ms = int(self._time.monotonic() * 1000)
        self._fastest_ms = max(self._fastest_ms, self._time.wall_ms() - monotonic_ms)
        return monotonic_ms + self._fastest_ms

    def hear(self, peer: str, clocks: Clocks) -> None:
        """Take note of what came along with a message of `peer`."""
        self.observe(clocks.reading)
        offset_ms = clocks.wall_ms - self._time.wall_ms()
        if 0 < offset_ms <= self._lead_ms_max:
            self._fastest_ms = max(self._fastest_ms, clocks.wall_ms - int(self._time.monotonic() * 1000))
        if (abs(offset_ms) >= self._off_ms) != (abs(self.offsets_ms.get(peer, 0)) >= self._off_ms):
            log.warning("the clock of %s is %+.1f s off this node's", peer, offset_ms / 1000)
        self.offsets_ms[peer] = offset_ms

    def forget_all_but(self, peers: Container[str]) -> None:
        """Of other peers, forget what their clocks show."""
        self.offsets_ms = {peer: offset for peer, offset in self.offsets_ms.items() if peer in peers}

    def observe(self, reading: int) -> None:
        """From now on, stamp above `reading`, unless it is so far ahead that it can only be wrong, and would spread."""
        if reading <= self._reading:
            return
        if self._is_absurd(reading):
            self._complain()
        else:
            self._reading = reading

    async def stamp(self) -> Version:
        """A version above everything given or seen so far."""
        self._reading = stamp = max(self._reading + 1, reading_at(self.notice_wall()))
        if stamp >= self._memory.ceiling:
            await self._keep(stamp + self._ceiling_span)
        return make_version(stamp, self._store_id)

    @property
    def has_new_lead(self) -> bool:
        """Whether a clock was noticed that is faster than what is remembered: `keep_lead` is due."""
        return self._lead_ms() >= self._memory.lead_ms + self._config.clock_lead_step_ms

    async def keep_lead(self) -> None:
        """Make durable by how much the fastest clock leads this node's."""
        self.notice_wall()
        if self.has_new_lead:
            await self._keep(self._memory.ceiling)

    async def _keep(self, ceiling: int) -> None:
        self._submitted = max(self._submitted, ceiling)  # Of two that are written at once, the later covers both.
        memory = Memory(self._submitted, min(self._lead_ms(), self._lead_ms_max))
        await self._remember(memory)
        self._memory = Memory(max(self._memory.ceiling, memory.ceiling), memory.lead_ms)

    def _lead_ms(self) -> int:
        return max(0, int(self._time.monotonic() * 1000) + self._fastest_ms - self._time.wall_ms())

    async def stamp_above(self, version: Version, lead_ms: int) -> Version:
        """A version above `version`, by `lead_ms` unless the wall clock is further ahead. If `version` is so far ahead
        that it can only be wrong, it is passed this once, since the key must stay writable, but the clock does not
        follow."""
        reading = clock_of(version) + reading_at(lead_ms)
        if not self._is_absurd(reading):
            self.observe(reading)
            return await self.stamp()
        self._beyond = max(self._beyond + 1, reading)
        return make_version(self._beyond, self._store_id)

    def _is_absurd(self, reading: int) -> bool:
        return reading > self.latest

    def _complain(self) -> None:
        now = self._time.monotonic()
        if self._complained_at is None or now - self._complained_at > self._config.clock_complaint_s:
            self._complained_at = now
            log.error("ignored a clock reading more than %d h ahead", self._lead_ms_max // 3_600_000)
