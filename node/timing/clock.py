"""Time, and the hybrid logical clock that stamps every write.

A reading is 48 bits of milliseconds and 16 of counter. It is never behind anything seen in a message, in the store or
in a context, as far as that is possible, so a write that follows another, in whatever way, has the higher version. Nor
does it step back over a restart: a *ceiling* is on stable storage before any reading below it is used, and a node
starts at its ceiling. Without that, a node whose wall clock was set back while it was down would stamp new writes below
those it has acknowledged, and lose them.

Between messages, a clock that is slower than others would fall behind what they have stamped. So a node goes by the
fastest wall clock that it has heard, its own included, and keeps on disk by how much that one *leads* its own. Only
wall clocks count for this. If readings counted too, each one that was pushed ahead of its time to pass another would
push all clocks ahead permanently. And only what they show now: where a fast one is set back, stamps stand until the
time has caught up with them, and then go on with it.

Nothing is taken over, and nothing stamped, that is above what can be right, see `witnesses`: wall clock, ceiling, the
readings and contexts of others. While this machine's own clock is ahead of that, nothing is stamped at all. A key may
hold a version that is ahead nevertheless, from before others could be heard: a write passes that one for this once,
under a stamp that nothing else is measured by. To know what time is possible over a restart of the process too, alone,
a node keeps by how much it is ahead of the monotonic clock (the *anchor*), which runs on until the machine stops.

After "Logical Physical Clocks" (Kulkarni et al., 2014), with the ceiling of Spanner-like leases in place of a wait.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Container
from typing import Annotated, NamedTuple, Protocol

import msgspec

from node.config import Config
from node.errors import Reason, Unavailable
from node.timing.witnesses import NOBODY, Standing, Witnesses
from node.values.version import CLOCK_MAX, Version, clock_of, make_version, make_versions, reading_at

log = logging.getLogger(__name__)

_PASSED_MAX = 1 << 20
"""As a reading, 16 ms: two stamps that pass one version are hardly ever the same, and not far above it."""
_SPREAD = 0x9E3779B1
"""An odd number with bits all over (Knuth's multiplicative hash): ceilings that differ little come to differ much."""


_SAID = {
    Standing.BELIEVED: (logging.WARNING, "the clock of this machine is within reach of the others again"),
    Standing.REFUSED: (
        logging.ERROR,
        "the clock of this machine is %.0f s ahead of all others: no write is stamped here until it is right",
    ),
    Standing.ALONE: (
        logging.ERROR,
        "the clock of this machine is %.0f s ahead, and no other node confirms it: stamps go on without it",
    ),
}


class Clocks(NamedTuple):
    """What a node's clocks show; a part of every message."""

    reading: Annotated[int, msgspec.Meta(ge=0, le=CLOCK_MAX - 1)]
    """Bounded so that a node that hears of one can stamp above it."""
    wall_ms: Annotated[int, msgspec.Meta(ge=0, le=(CLOCK_MAX - 1) >> 16)]


class Anchor(NamedTuple):
    """By how much the time that a node goes by is ahead of the monotonic clock of one run of its machine."""

    boot_id: str
    ahead_ms: int


class Memory(NamedTuple):
    """What a clock must know when its process starts again."""

    ceiling: int = 0
    lead_ms: int = 0
    anchor: Anchor | None = None


class Time(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds since the machine was started, or another moment before this process was; never steps back, and goes
        on while the machine is suspended."""

    def wall(self) -> float:
        """Seconds since 1970, as far as this machine knows."""

    def wall_ms(self) -> int:
        """The same in milliseconds."""

    def boot_id(self) -> str:
        """Another one whenever `monotonic` has begun anew; empty if nobody knows."""


class HybridClock:
    """`memory`: what `remember` has last made durable."""

    def __init__(
        self, config: Config, time: Time, store_id: int, memory: Memory, remember: Callable[[Memory], Awaitable[None]]
    ) -> None:
        self._config = config
        self._ceiling_span = reading_at(int(1000 * config.clock_ceiling_s))
        self._lead_ms_max = config.clock_lead_ms_max
        self._off_ms = config.clock_off_ms
        self._jitter_ms = config.clock_jitter_ms
        self._alone_ms = int(1000 * config.clock_alone_s)
        self._time = time
        self._boot_id = time.boot_id()
        self._store_id = store_id
        self._memory = memory
        self._remember = remember
        self._submitted = memory.ceiling
        """The highest ceiling that was given to `remember`, whether it has returned or not."""
        self._reading = memory.ceiling
        self._witnesses, self.is_grounded = self._call_witnesses()
        """`is_grounded`: whether this node knows what time is possible, from others or from its own earlier life."""
        self._known_offsets_ms: dict[str, int] = {}
        """By how much each peer's clock was ahead when that was last news, since this machine's own was last set."""
        self._own_ms = time.wall_ms() - int(time.monotonic() * 1000)
        """What this machine's own was ahead of the monotonic one when it was last judged."""
        self._was_heard = False
        """Whether any other node was heard since then."""
        self._heard_at_ms = NOBODY
        """When it was last judged after another node had been heard."""
        self._passed = (memory.ceiling >> 16) * _SPREAD % _PASSED_MAX
        """Sets apart the stamps that pass a version which is too far ahead, also from those of an earlier life: each
        begins with another ceiling."""
        self._standing = Standing.BELIEVED
        self._complained_at: float | None = None
        self._admit: Callable[[], bool] = lambda: True
        self.offsets_ms: dict[str, int] = {}
        """By how much the wall clock of each peer was ahead of this node's when it was last heard."""

    def attach(self, admit: Callable[[], bool]) -> None:
        """`admit`: whether what arrives right now has not lain there while this process was paused, see
        `Readiness.admit_peer`."""
        self._admit = admit

    def _call_witnesses(self) -> tuple[Witnesses, bool]:
        config, memory, anchor = self._config, self._memory, self._memory.anchor
        own_ms = self._time.wall_ms() - int(self._time.monotonic() * 1000)
        if anchor is not None and self._boot_id == anchor.boot_id != "":
            followed_ms = anchor.ahead_ms if memory.lead_ms else NOBODY
            return Witnesses(config.clock_reach_ms, anchor.ahead_ms, followed_ms), True
        followed_ms = own_ms + memory.lead_ms if memory.lead_ms else NOBODY
        return Witnesses(config.clock_reach_ms, own_ms, followed_ms), False

    @property
    def reading(self) -> int:
        """The highest reading given or seen."""
        return self._reading

    @property
    def clocks(self) -> Clocks:
        return Clocks(self._reading, self._time.wall_ms())

    @property
    def latest(self) -> int:
        """The highest reading that a context may name: what is above it can only be wrong."""
        return reading_at(self.now_ms() + self._lead_ms_max + 1) - 1

    def now_ms(self) -> int:
        """The time by the fastest wall clock that can be believed, of those that were heard and of this machine's own
        now."""
        monotonic_ms, wall_ms = int(self._time.monotonic() * 1000), self._time.wall_ms()
        if wall_ms - monotonic_ms > self._witnesses.limit_ms:
            wall_ms = monotonic_ms + self._witnesses.confirmed_ms
        return max(wall_ms, monotonic_ms + self._witnesses.followed_ms)

    def agreed_ms(self) -> int:
        """The time that two wall clocks confirm, of those that were heard and this machine's own: the second fastest
        of all. One alone that is wrong does not move it ahead. Where this machine's own differs from that by no more
        than messages take, it is that. Before any was heard, it is `now_ms`."""
        if not self._witnesses.has_heard:
            return self.now_ms()
        agreed_ms, wall_ms = int(self._time.monotonic() * 1000) + self._witnesses.possible_ms, self._time.wall_ms()
        return wall_ms if 0 <= wall_ms - agreed_ms <= self._jitter_ms else agreed_ms

    # What is heard

    def hear(self, peer: str, clocks: Clocks) -> None:
        """Take note of what came along with a message of `peer`. It is called for every one of them, so what differs
        only by the time that a message takes is no news; and what it showed before a pause says nothing of now: this
        node alone would then be ahead of all others, by as long as that was."""
        if not self._admit():
            self.observe(clocks.reading)
            return
        wall_ms = self._time.wall_ms()
        offset_ms = clocks.wall_ms - wall_ms
        self._was_heard = True
        if not -self._jitter_ms <= offset_ms - self._known_offsets_ms.get(peer, NOBODY) <= self._jitter_ms:
            self._learn(peer, offset_ms, wall_ms)
        if clocks.reading > self._reading:
            self.observe(clocks.reading)
        before_ms = self.offsets_ms.get(peer, 0)
        if offset_ms != before_ms and (abs(offset_ms) >= self._off_ms) != (abs(before_ms) >= self._off_ms):
            log.warning("the clock of %s is %+.1f s off this node's", peer, offset_ms / 1000)
        self.offsets_ms[peer] = offset_ms

    def _learn(self, peer: str, offset_ms: int, wall_ms: int) -> None:
        self.is_grounded = True
        self._known_offsets_ms[peer] = offset_ms
        self._own_ms = wall_ms - int(self._time.monotonic() * 1000)
        self._witnesses.hear(peer, self._own_ms + offset_ms, self._own_ms)

    def forget_all_but(self, peers: Container[str]) -> None:
        """Of other peers, forget what their clocks show."""
        self.offsets_ms = {peer: offset for peer, offset in self.offsets_ms.items() if peer in peers}
        self._known_offsets_ms = {peer: offset for peer, offset in self._known_offsets_ms.items() if peer in peers}
        self._witnesses.forget_all_but(peers)

    def observe(self, reading: int) -> None:
        """From now on, stamp above `reading`, unless it is so far ahead that it may be wrong, and would spread."""
        if reading <= self._reading:
            return
        if self._is_possible(reading):
            self._reading = reading
        elif reading > self.latest:
            self._complain()

    def _is_possible(self, reading: int) -> bool:
        possible_ms = int(self._time.monotonic() * 1000) + self._witnesses.possible_ms
        return reading < reading_at(possible_ms + self._config.clock_reach_ms + 1)

    @property
    def standing(self) -> Standing:
        """What this machine's wall clock was worth when it was last judged."""
        return self._standing

    def judge(self) -> Standing:
        """Whether this machine's wall clock is believed, now; tells the log where that has changed. To be called now
        and then: a clock may be set at any time."""
        monotonic_ms = int(self._time.monotonic() * 1000)
        own_ms = self._time.wall_ms() - monotonic_ms
        if self._was_heard:
            self._heard_at_ms, self._was_heard = monotonic_ms, False
        if not -self._jitter_ms <= own_ms - self._own_ms <= self._jitter_ms:
            self._known_offsets_ms.clear()  # Another clock that was set along with this one is as far off as before.
        self._own_ms = own_ms
        self._witnesses.judge(own_ms)
        ahead_s = (own_ms - self._witnesses.confirmed_ms) / 1000
        if own_ms <= self._witnesses.limit_ms:
            standing = Standing.BELIEVED
        elif monotonic_ms - self._heard_at_ms <= self._alone_ms:
            standing = Standing.REFUSED
        else:
            standing = Standing.ALONE
        if standing is not self._standing:
            self._standing = standing
            log.log(*_SAID[standing], *(() if standing is Standing.BELIEVED else (ahead_s,)))
        return standing

    # Stamps

    async def stamp(self) -> Version:
        """A version above everything given or seen so far. Raises Unavailable while the clock of this machine is ahead
        of all others."""
        return make_version(await self._next(1), self._store_id)

    def stamp_here(self) -> Version | None:
        """The same, if it takes no waiting; None: it is for `stamp` to give. Raises Unavailable. The hot path."""
        stamp = self._advance(1)
        return make_version(stamp, self._store_id) if stamp < self._memory.ceiling else None

    async def stamps(self, count: int) -> list[Version]:
        """So many, ascending: each as `stamp` would give it."""
        last = await self._next(count)
        return make_versions(range(last - count + 1, last + 1), self._store_id)

    async def _next(self, count: int) -> int:
        """The last of the next `count` readings, once what it is below is durable."""
        stamp = self._advance(count)
        if stamp >= self._memory.ceiling:
            await self._keep(stamp + self._ceiling_span)
        return stamp

    def _advance(self, count: int) -> int:
        """The last of the next `count` readings; nobody else is given any of them."""
        witnesses, monotonic_ms, wall_ms = self._witnesses, int(self._time.monotonic() * 1000), self._time.wall_ms()
        if wall_ms - monotonic_ms > witnesses.limit_ms:
            if self.judge() is Standing.REFUSED:
                fault = f"The clock of this node is {self._ahead_s()} s ahead of all others"
                raise Unavailable(fault).because(Reason.CLOCK).before_anything()
            wall_ms = monotonic_ms + witnesses.confirmed_ms
        now_ms = max(wall_ms, monotonic_ms + witnesses.followed_ms)
        self._reading = stamp = max(self._reading + 1, reading_at(now_ms)) + count - 1
        return stamp

    @property
    def refused_s(self) -> int:
        """By how much this machine's clock is ahead of all others, if nothing is stamped by it for that; else 0."""
        return self._ahead_s() if self._standing is Standing.REFUSED else 0

    def _ahead_s(self) -> int:
        own_ms = self._time.wall_ms() - int(self._time.monotonic() * 1000)
        return (own_ms - self._witnesses.confirmed_ms) // 1000

    async def stamp_above(self, version: Version, lead_ms: int) -> Version:
        """A version above `version`, by `lead_ms` unless the time is further ahead. If `version` is so far ahead that
        it may be wrong, it is passed this once, since the key must stay writable, but the clock does not follow.
        Raises Unavailable as `stamp` does."""
        reading = clock_of(version) + reading_at(lead_ms)
        if self._is_possible(reading):
            self.observe(reading)
        stamp = await self.stamp()
        if stamp > version:
            return stamp
        self._passed = (self._passed + 1) % _PASSED_MAX
        return make_version(min(reading + self._passed, CLOCK_MAX - 1), self._store_id)

    # What is remembered

    @property
    def has_new_lead(self) -> bool:
        """Whether the fastest clock leads this machine's, or the monotonic one, by more or less than is remembered:
        `keep_lead` is due."""
        anchor, step_ms = self._memory.anchor, self._config.clock_lead_step_ms
        if abs(self._lead_ms() - self._memory.lead_ms) >= step_ms:
            return True
        if anchor is None or anchor.boot_id != self._boot_id:
            return self._boot_id != ""
        return abs(self._anchor().ahead_ms - anchor.ahead_ms) >= step_ms

    async def keep_lead(self) -> None:
        """Make durable by how much the fastest clock leads this node's, and what time it is."""
        if self.has_new_lead:
            await self._keep(self._memory.ceiling)

    async def _keep(self, ceiling: int) -> None:
        self._submitted = max(self._submitted, ceiling)  # Of two that are written at once, the later covers both.
        memory = Memory(self._submitted, min(self._lead_ms(), self._lead_ms_max), self._anchor())
        await self._remember(memory)
        self._memory = Memory(max(self._memory.ceiling, memory.ceiling), memory.lead_ms, memory.anchor)

    def _anchor(self) -> Anchor:
        return Anchor(self._boot_id, self.now_ms() - int(self._time.monotonic() * 1000))

    def _lead_ms(self) -> int:
        return max(0, self.now_ms() - self._time.wall_ms())

    def _complain(self) -> None:
        now = self._time.monotonic()
        if self._complained_at is None or now - self._complained_at > self._config.clock_complaint_s:
            self._complained_at = now
            log.error("ignored a clock reading more than %d h ahead", self._lead_ms_max // 3_600_000)
