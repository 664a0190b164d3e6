"""What a node does with a read or a write of a key that it owns.

It asks whom it has not synced with: the co-owners of which it holds no lease, and the donors of the partition. Then it
looks into its own store, never before: a record that is handed over meanwhile is gone there and here by then. What is
newer than what it has, it keeps. After each wait it makes sure that the view is still the one under which it began.

Who is silent is passed over, for nobody can tell whether it will ever speak again; but that nothing was found says
little while those who would have it cannot be heard, see `_is_complete`. What a causal context adds to that, see
`causality`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, PeerLost, StorageFault
from node.net.messages import (
    Answer,
    Fetch,
    Fetched,
    Foreign,
    MayBeStored,
    NothingDeleted,
    Read,
    ReadResult,
    Superseded,
    Unable,
    Unsatisfied,
    ViewIs,
    Write,
    Wrote,
)
from node.net.transport import Answering
from node.operations.causality import Causality, kept_with
from node.replication.co_owners import CoOwners
from node.replication.streams import Streams
from node.storage.store import Absent, Newer, Store, Unsure, Written
from node.timing.clock import Time
from node.timing.deadlines import Timeouts
from node.values.donors import Kind
from node.values.record import Record, clock_of, decode_record
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.hashing import partition_of

REPLY_S = 0.05
"""For the way back of an answer: one that comes too late costs its caller the link."""
RETRY_S = 0.02
"""Between two attempts when nothing has changed that would make the next one fare better."""


class Sightings(NamedTuple):
    """What others hold of a key."""

    newest: Record | None
    source: Address
    """Who holds `newest`."""
    is_complete: bool
    """What is neither here nor in `newest` does not exist."""
    heard: Collection[Address] = ()
    is_silent: bool = False
    """An owner of old was passed over."""
    is_refused: bool = False
    """A node of the view answered, but could not tell: it must not be passed over like one that is silent."""


NOBODY_ASKED = Sightings(None, "", True)


class Owner:
    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        streams: Streams,
        calls: Calls,
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._streams = streams
        self._calls = calls
        self._causality = Causality(config, store, views, co_owners)
        self._timeouts = Timeouts()
        self.served_at = 0.0
        """When an operation was last carried out here; monotonic."""

    def read_here(self, key: bytes) -> ReadResult | None:
        """The answer to a read that this node can give at once; None if it must ask somebody. The hot path."""
        partition = partition_of(key)
        if (
            self._config.address not in self._views.ring.owners(partition)
            or not self._readiness.enter()
            or self._not_synced_with(partition)
        ):
            return None
        self.served_at = self._time.monotonic()
        record = self._store.get(partition, key)
        return ReadResult(None if record is None else record.value)

    def serve(self, operation: Read | Write, budget_s: float) -> Answering:
        """Answer another node's call, made under this node's view."""
        if isinstance(operation, Read) and operation.context is None:
            value = self.read_here(operation.key)
            if value is not None:
                return value
        return self._serve(operation, self._time.monotonic() + budget_s - REPLY_S)

    async def _serve(self, operation: Read | Write, deadline: float) -> Answer:
        try:
            return await self._timeouts.within(deadline - self._time.monotonic(), self.carry_out(operation, deadline))
        except TimeoutError:
            return MayBeStored() if isinstance(operation, Write) else Unable()
        except PeerLost:
            return MayBeStored()  # Nobody will hear it: all links were closed when it noticed its pause.

    async def carry_out(self, operation: Read | Write, deadline: float) -> Answer:
        """ViewIs: the view has changed, this node may not be the owner any more. Nothing is begun after `deadline`, but
        what was begun may hang for as long as a disk or a peer does: the caller sets it a limit. Raises PeerLost if
        this node was paused while it wrote: others may have taken its place and not have seen the write."""
        if not self._readiness.enter() and not await self._readiness.ready(deadline):
            return Unable()
        self.served_at = self._time.monotonic()
        if self.served_at >= deadline:
            return Unable()
        view_id, partition = self._views.view_id, partition_of(operation.key)
        if self._config.address not in self._views.ring.owners(partition):
            return ViewIs(self._views.current.encoded)
        asked = {*self._not_synced_with(partition), *self._causality.whom_to_ask(operation)}
        sightings = NOBODY_ASKED
        if asked:
            sightings = await self._ask(asked, partition, operation.key, view_id)
            is_other_view = self._views.view_id != view_id
            if not self._readiness.enter() or is_other_view or not asked.issuperset(self._not_synced_with(partition)):
                return await self.carry_out(operation, deadline)
            if sightings.is_refused:
                await asyncio.sleep(RETRY_S)
                return await self.carry_out(operation, deadline)
        if not self._causality.is_met(operation, sightings.newest, sightings.heard):
            return Unsatisfied()
        if isinstance(operation, Write) and self._co_owners.is_some_disk_full():
            return Unable()
        if isinstance(operation, Read):
            return await self._read(view_id, partition, operation, sightings)
        earliest = self._time.monotonic() + self._config.lease_s if self._views.donors.of(partition) else 0.0
        return await self._write(view_id, partition, operation, sightings, deadline, earliest)

    async def _read(self, view_id: ViewId, partition: int, read: Read, sightings: Sightings) -> Answer:
        held, seen = self._store.get(partition, read.key), sightings.newest
        if seen is None or (held is not None and held.version >= seen.version):
            if held is None and not sightings.is_complete:
                return Unable()
            return self._value(read, held, self._config.address)
        holder = sightings.source
        with suppress(Fenced, StorageFault):  # That it is kept is for later readers; this one has it.
            await self._store.merge(view_id, [(partition, read.key, seen.encode())], exclude={sightings.source})
            holder = self._config.address
        return self._value(read, seen, holder)

    def _value(self, read: Read, record: Record | None, holder: Address) -> ReadResult:
        value = None if record is None else record.value
        if read.context is None:
            return ReadResult(value)
        return ReadResult(value, self._causality.after_seeing(read.context, read.key, record, holder))

    async def _write(
        self, view_id: ViewId, partition: int, write: Write, sightings: Sightings, deadline: float, earliest: float
    ) -> Answer:
        try:
            outcome = await self._store.write(
                view_id,
                partition,
                write.key,
                write.version,
                write.value,
                sightings.newest,
                sightings.is_complete,
                kept_with(write),
            )
        except Fenced:
            await asyncio.sleep(RETRY_S)
            return await self.carry_out(write, deadline) if self._time.monotonic() < deadline else Unable()
        except StorageFault:
            return Unable()
        if not self._readiness.enter():
            raise PeerLost("this node was paused")
        match outcome:
            case Written(replaced):
                if self._co_owners.is_alone and not sightings.is_silent:
                    return Wrote(replaced, self._causality.after_write(write, True))
                return await self._replicate(write, replaced, deadline, earliest, sightings.is_silent)
            case Absent():
                return self._nothing(partition, write)
            case Newer(version):
                return Superseded(version)
            case Unsure():
                return Unable()

    def _nothing(self, partition: int, write: Write) -> NothingDeleted:
        if write.context is None:
            return NothingDeleted()
        tombstone, me = self._store.get(partition, write.key), self._config.address
        return NothingDeleted(self._causality.after_seeing(write.context, write.key, tombstone, me))

    async def _replicate(
        self, write: Write, replaced: bool, deadline: float, earliest: float, is_silent: bool
    ) -> Answer:
        """`is_silent`: an owner of old was passed over, and may still answer alone."""
        try:
            is_everywhere = await self._streams.await_copies([write.key], earliest=earliest)
            if is_silent:
                await asyncio.sleep(self._co_owners.old_leases_end() - self._time.monotonic())
        except StorageFault:
            return MayBeStored()
        except Fenced:
            again = await self.carry_out(write, deadline) if self._time.monotonic() < deadline else None
            return again if isinstance(again, Wrote) else MayBeStored()  # It is on this disk: no refusal any more.
        if not self._readiness.enter():
            raise PeerLost("this node was paused")
        return Wrote(replaced, self._causality.after_write(write, is_everywhere))

    # What others hold

    def _not_synced_with(self, partition: int) -> Collection[Address]:
        """Who may hold what this node does not, so that it must ask them before it answers; none if it may answer
        alone."""
        donors, unleased = self._views.donors.of(partition), self._co_owners.unleased()
        return {*donors, *unleased} if donors or unleased else ()

    async def _ask(self, peers: Iterable[Address], partition: int, key: bytes, view_id: ViewId) -> Sightings:
        """Ask them all in parallel."""
        peers = sorted(peers)
        answers = await asyncio.gather(*(self._fetch(peer, key, view_id) for peer in peers))
        newest: Record | None = None
        source = ""
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, Fetched) and answer.record is not None:
                record = decode_record(answer.record)
                if self._is_forgotten(record, peer, answer.stable_watermark):
                    continue
                if newest is None or record.version > newest.version:
                    newest, source = record, peer
        heard = {peer for peer, answer in zip(peers, answers, strict=True) if _tells(answer)}
        is_refused = any(
            answer is not None and not isinstance(answer, Fetched) and peer in self._views.current.nodes
            for peer, answer in zip(peers, answers, strict=True)
        )
        if (
            self._co_owners.is_waiting_to_be_filled()
        ):  # A co-owner that cannot tell either will soon: one of them has nothing, or all.
            is_refused |= any(isinstance(answer, Fetched) and not _tells(answer) for answer in answers)
        silent = {peer for peer, answer in zip(peers, answers, strict=True) if answer is None}
        is_complete = self._is_complete(partition, heard, silent)
        owners = self._views.ring.owners(partition)
        return Sightings(newest, source, is_complete, heard, not silent.issubset(owners), is_refused)

    def _is_forgotten(self, record: Record, holder: Address, seen: int) -> bool:
        """Whether it is a deletion of long ago, or may be what was deleted then; see `tombstones`."""
        if holder in self._views.current.nodes:
            return not record.live and clock_of(record.version) <= self._store.purge_watermark
        return self._store.is_outdated(record.version, seen)

    def _is_complete(self, partition: int, heard: Collection[Address], silent: Collection[Address]) -> bool:
        """Whether everybody has been heard without whom a key cannot be said not to exist. Of owners of old that were
        copies of each other, one will do. Whoever is outside the view may be passed over: it was removed, and who
        removes a node that is down gives up what only it had."""
        donors = self._views.donors.of(partition)
        if self._co_owners.is_waiting_to_be_filled() and not heard:
            return False
        a_copy_was_heard = any(donors[donor] is Kind.COPY for donor in donors.keys() & heard)
        for donor, kind in donors.items():
            silent_outside = donor in silent and donor not in self._views.current.nodes
            if donor in heard or silent_outside or kind is Kind.COVERED:
                continue
            if kind is Kind.ALONE or not a_copy_was_heard:
                return False
        return True

    async def _fetch(self, peer: Address, key: bytes, view_id: ViewId) -> Answer | None:
        """None if it refused the connection or was silent, or if another cluster's node has its address now."""
        answer = await self._calls.ask_patiently(peer, Fetch(key), view_id)
        return None if isinstance(answer, Foreign) else answer

    def fetch(self, key: bytes) -> Fetched:
        """Answer an owner that asks this node. It does so under this node's view: no write can follow here that the
        owner does not hear of."""
        return Fetched(
            self._store.encoded(partition_of(key), key), self._store.stable_watermark, self._co_owners.may_lack()
        )


def _tells(answer: Answer | None) -> bool:
    """Whether a peer has told all that it holds of a key, be it nothing."""
    return isinstance(answer, Fetched) and (answer.record is not None or not answer.may_lack)
