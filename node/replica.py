"""What this node does with one read, write or delete: route it, stamp it, and, where it owns the key, carry it out.

The version of a write is chosen here, where the client's request arrived, and a repetition elsewhere keeps it: so doing
it twice is doing it once. Only an owner that holds a newer version makes it be stamped anew, and only if no earlier
attempt may have been stored; else the write could happen twice, with another one in between.

An owner asks whom it has not synced with (the donors of the partition) and looks into its own store after that, never
before: a record that a donor hands over meanwhile is gone there and here by then. After each wait it makes sure that
the view is still the one under which it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import NamedTuple, TypeAlias

from gossip.view import Address, Stamp
from node.clock import HybridClock, Time
from node.config import Config
from node.errors import Fenced, PeerLost, PeerRefused, StorageFault, Unavailable
from node.gate import Gate
from node.records import Record, decode_record
from node.store import Absent, Newer, Store, Unsure, Written
from node.transport import Answering, Transport
from node.views import Views
from node.wire import (
    Answer,
    Fetch,
    Fetched,
    Foreign,
    Nothing,
    Read,
    Superseded,
    Unable,
    Value,
    ViewIs,
    Write,
    Wrote,
)
from ring.hashing import partition_of

RETRY_S = 0.02
"""Between two attempts of a request when nothing has changed that would make the next one fare better."""

Operation: TypeAlias = Read | Write


class Outcome(NamedTuple):
    """What became of a request: the owner's answer, and who gave it (None: this node)."""

    answer: Answer
    served_by: Address | None


class Sightings(NamedTuple):
    """What the donors of a partition hold of a key."""

    newest: Record | None
    complete: bool
    """Every donor inside the view has answered: what is neither here nor in `newest` does not exist."""


NO_DONORS = Sightings(None, True)


class Replica:
    def __init__(
        self,
        config: Config,
        time: Time,
        clock: HybridClock,
        store: Store,
        views: Views,
        gate: Gate,
        transport: Transport,
    ) -> None:
        self._config = config
        self._time = time
        self._clock = clock
        self._store = store
        self._views = views
        self._gate = gate
        self._transport = transport
        self.served_at = 0.0
        """When an operation was last carried out here; monotonic."""

    def owner(self, key: bytes) -> Address:
        """Who serves `key` under the present view."""
        return self._views.ring.owners(partition_of(key))[0]

    # Where a client's request arrives

    def read_here(self, key: bytes) -> Value | None:
        """The answer to a read that this node can give at once; None if it must ask somebody. The hot path."""
        partition = partition_of(key)
        if (
            self._views.ring.owners(partition)[0] != self._config.address
            or not self._gate.is_open()
            or self._views.donors.of(partition)
        ):
            return None
        self.served_at = self._time.monotonic()
        record = self._store.get(partition, key)
        return Value(None if record is None else record.value)

    async def read(self, key: bytes) -> Outcome:
        """Raises Unavailable."""
        return await self._within_time(self._route(key, Read(key), self._deadline()))

    async def write(self, key: bytes, value: bytes | None) -> Outcome:
        """A put, or with `value` None a delete. Raises Unavailable: it may have happened."""
        return await self._within_time(self._write(key, value, self._deadline()))

    async def _within_time(self, work: Coroutine[None, None, Outcome]) -> Outcome:
        """Whatever it is that hangs, a disk or a peer: the client gets its answer in time."""
        try:
            async with asyncio.timeout(self._config.answer_s):
                return await work
        except TimeoutError:
            raise Unavailable() from None

    async def _write(self, key: bytes, value: bytes | None, deadline: float) -> Outcome:
        version, refusals = await self._clock.stamp(), 0
        while True:
            outcome = await self._route(key, Write(key, version, value), deadline)
            if not isinstance(outcome.answer, Superseded):
                return outcome
            refusals += 1
            version = await self._clock.stamp_above(outcome.answer.version, lead_ms=2 ** min(refusals, 16))

    def _deadline(self) -> float:
        return self._time.monotonic() + self._config.request_s

    async def _route(self, key: bytes, operation: Operation, deadline: float) -> Outcome:
        """Bring the operation to an owner. Raises Unavailable: if it was a write, it may have happened, under its
        version."""
        may_be_stored = False
        while (left := deadline - self._time.monotonic()) > 0:
            stamp, owner = self._views.stamp, self.owner(key)
            try:
                if owner == self._config.address:
                    answer = await self._carry_out(operation, deadline)
                else:
                    answer = await self._transport.call(owner, operation, stamp, left)
            except PeerRefused:
                if self._views.stamp == stamp:
                    raise Unavailable() from None
                continue
            except PeerLost:
                may_be_stored = True
                continue
            match answer:
                case Unable() | Foreign():
                    raise Unavailable()
                case Superseded() if may_be_stored:
                    raise Unavailable()
                case ViewIs():
                    await self._views.take(answer.view, owner)
                    if self._views.stamp == stamp:
                        await self._views.greet(owner)
                        await asyncio.sleep(RETRY_S)
                case _:
                    return Outcome(answer, None if owner == self._config.address else owner)
        raise Unavailable()

    # Where the key lives

    def serve(self, operation: Operation, budget_s: float) -> Answering:
        """Answer another node's call, made under this node's view."""
        if isinstance(operation, Read) and (value := self.read_here(operation.key)) is not None:
            return value
        return self._carry_out_for_peer(operation, self._time.monotonic() + budget_s)

    async def _carry_out_for_peer(self, operation: Operation, deadline: float) -> Answer:
        try:
            return await self._carry_out(operation, deadline)
        except PeerLost:
            return Unable()  # Nobody will hear it: at a standstill, all links were closed.

    async def _carry_out(self, operation: Operation, deadline: float) -> Answer:
        """Act as the owner. ViewIs: the view has changed, this node may not be the owner any more. Raises PeerLost if
        this node stood still while it wrote: others may have taken its place and not have seen the write."""
        if not await self._gate.opened(deadline):
            return Unable()
        self.served_at = self._time.monotonic()
        stamp, partition = self._views.stamp, partition_of(operation.key)
        if self._views.ring.owners(partition)[0] != self._config.address:
            return ViewIs(self._views.current.encoded)
        sightings = await self._ask_donors(stamp, partition, operation.key)
        if not self._gate.is_open() or self._views.stamp != stamp:
            return await self._carry_out(operation, deadline)
        if isinstance(operation, Read):
            return self._read_local(partition, operation.key, sightings)
        return await self._write_local(stamp, partition, operation, sightings, deadline)

    def _read_local(self, partition: int, key: bytes, sightings: Sightings) -> Answer:
        held = self._store.get(partition, key)
        newest = _newer(held, sightings.newest)
        if newest is None:
            return Value(None) if sightings.complete else Unable()
        return Value(newest.value)

    async def _write_local(
        self, stamp: Stamp, partition: int, write: Write, sightings: Sightings, deadline: float
    ) -> Answer:
        try:
            outcome = await self._store.write(
                stamp, partition, write.key, write.version, write.value, sightings.newest, sightings.complete
            )
        except Fenced:
            await asyncio.sleep(RETRY_S)
            return await self._carry_out(write, deadline) if self._time.monotonic() < deadline else Unable()
        except StorageFault:
            return Unable()
        if not self._gate.is_open():
            raise PeerLost("this node stood still")
        match outcome:
            case Written(replaced):
                return Wrote(replaced)
            case Absent():
                return Nothing()
            case Newer(version):
                return Superseded(version)
            case Unsure():
                return Unable()

    async def _ask_donors(self, stamp: Stamp, partition: int, key: bytes) -> Sightings:
        """Ask in parallel everybody who may still hold keys of the partition. One outside the view may be passed over:
        it was removed, and who removes a node that is down gives up what only it had."""
        donors = self._views.donors.of(partition)
        if not donors:
            return NO_DONORS
        answers = await asyncio.gather(*(self._fetch(donor, key, stamp) for donor in donors))
        newest: Record | None = None
        complete = True
        for donor, answer in zip(donors, answers, strict=True):
            if isinstance(answer, Fetched):
                newest = _newer(newest, None if answer.record is None else decode_record(answer.record))
            elif answer is not None or donor in self._views.current.nodes:
                complete = False
        return Sightings(newest, complete)

    async def _fetch(self, donor: Address, key: bytes, stamp: Stamp) -> Answer | None:
        """None if the donor refused the connection or was silent (a link that merely broke is no silence), or if
        another cluster's node has its address now."""
        deadline = self._time.monotonic() + self._config.silence_s
        while (left := deadline - self._time.monotonic()) > 0:
            try:
                answer = await self._transport.call(donor, Fetch(key), stamp, left)
            except PeerRefused:
                return None
            except PeerLost:
                continue
            if isinstance(answer, ViewIs) and isinstance(await self._views.take(answer.view, donor), Foreign):
                return None
            return None if isinstance(answer, Foreign) else answer
        return None

    def fetch(self, key: bytes) -> Fetched:
        """Answer an owner that asks this node as a donor. It does so under this node's view: no write can follow
        here."""
        record = self._store.get(partition_of(key), key)
        return Fetched(None if record is None else record.encode())


def _newer(one: Record | None, other: Record | None) -> Record | None:
    if one is None or (other is not None and other.version > one.version):
        return other
    return one
