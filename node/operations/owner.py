"""What a node does with a read or a write of a key that it owns.

An operation is carried out in attempts, each under one view. After each wait, an attempt makes sure that the view is
still the one under which it began, and that nobody else had to be asked by now; if not, it is begun anew. Others are
asked by `inquiry`; what their answers say is judged by `sightings`, what a causal context adds to that by `causality`;
a write with a condition is left to the `decider`, and many plain ones at once to `together`. Here the rest is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import TypeAlias

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import CommitFailed, Fenced, PeerLost, StorageFault
from node.net.messages import (
    Answer,
    Batch,
    BatchAnswer,
    Batched,
    Copies,
    Fetched,
    MayBeStored,
    NothingDeleted,
    Read,
    ReadResult,
    Superseded,
    Unable,
    Unsatisfied,
    Write,
    WriteExpiring,
    WriteIf,
    Wrote,
)
from node.net.transport import Answering
from node.operations.causality import Causality, Demand
from node.operations.decider import Decider
from node.operations.inquiry import NO_PEERS, Inquiry, NewAttempt
from node.operations.sightings import NOBODY_ASKED, Sightings
from node.operations.telling import told
from node.operations.together import Job, Together
from node.replication.co_owners import CoOwners
from node.replication.streams import Streams
from node.storage.store import Store
from node.storage.writes import Absent, Newer, Unmatched, Unsure, WriteOutcome, Written
from node.timing.clock import HybridClock, Time
from node.timing.deadlines import Timeouts
from node.values.record import Record, decode_record, expires, value_of, version_of
from node.values.version import Version
from node.views.calls import Calls
from node.views.confirming import Confirming
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.hashing import partition_of
from ring.placement import Shard

Operation: TypeAlias = Read | Write | WriteIf


class Owner:
    def __init__(
        self,
        config: Config,
        time: Time,
        clock: HybridClock,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        streams: Streams,
        calls: Calls,
        confirming: Confirming,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._streams = streams
        self._calls = calls
        self._now_ms = now_ms
        self._inquiry = Inquiry(config, store, views, readiness, co_owners, streams, calls)
        self._not_synced_with = self._inquiry.not_synced_with
        self._causality = Causality(config, store, views, co_owners)
        self._decider = Decider(
            config,
            time,
            clock,
            store,
            views,
            readiness,
            co_owners,
            streams,
            confirming,
            self._inquiry,
            self._causality,
            now_ms,
        )
        self.change_view = self._decider.change_view
        """Another view is in force."""
        self._together = Together(
            config, store, views, readiness, co_owners, streams, self._inquiry, self.read_here, now_ms
        )
        self.writes_here = self._together.writes_here
        self._timeouts = Timeouts()
        self.served_at = 0.0
        """When an operation was last carried out here, or had to wait for what this node holds; monotonic."""

    def read_here(self, key: bytes) -> ReadResult | None:
        """The answer to a read that this node can give at once; None if it must ask somebody. The hot path."""
        partition = partition_of(key)
        if not self._answers_alone(partition):
            return None
        self.served_at = self._time.monotonic()
        encoded = self._store.encoded(partition, key)
        if encoded is None:
            return ReadResult(None)
        version, value = version_of(encoded), value_of(encoded)
        co_owners = self._co_owners
        if not co_owners.is_on_all(key, version) and not co_owners.has_spread(key, version):
            return None
        if expires(encoded):
            return told(decode_record(encoded), None, self._now_ms())
        return ReadResult(None) if value is None else ReadResult(value, None, version)

    def _answers_alone(self, partition: int) -> bool:
        """Whether this node is an owner, and has nobody to ask first."""
        return (
            self._config.address in self._views.ring.owners(partition)
            and self._readiness.enter()
            and not self._not_synced_with(partition)
        )

    def puts_here(self, key: bytes) -> bool:
        """Whether nobody has to be asked about a plain put, nor left out of it. The hot path."""
        co_owners = self._co_owners
        return self._answers_alone(partition_of(key)) and co_owners.are_in_reach() and not co_owners.is_behind

    def put_here(self, key: bytes, version: Version, value: bytes) -> Awaitable[WriteOutcome]:
        """Begin a put for which `puts_here` has just been asked; `await_copies_here` is to follow."""
        self.served_at = self._time.monotonic()
        return self._store.write(self._views.view_id, partition_of(key), key, version, value, now_ms=self._now_ms)

    def await_copies_here(self, key: bytes, outcome: WriteOutcome, view_id: ViewId) -> asyncio.Future[bool] | None:
        """What `wrote_here` has to wait for, now that the store has done its part of a put that was begun under this
        view: whether all co-owners have it. None: there are none, or the put is to be carried out once more."""
        if self._co_owners.is_alone or not isinstance(outcome, Written) or outcome.is_repeated:
            return None
        if self._views.view_id != view_id or not self._readiness.enter():
            return None
        return self._streams.confirmation(key)

    def wrote_here(self, outcome: WriteOutcome, view_id: ViewId, are_copied: bool) -> Wrote | None:
        """The answer to a put that was begun under this view, if nothing has changed meanwhile; None: it is to be
        carried out once more. Who had to have it was for that view to say: alone under the next one, this node might
        forget about who still answers under this one."""
        if not isinstance(outcome, Written) or not self._readiness.enter() or self._views.view_id != view_id:
            return None
        return Wrote(outcome.replaced) if are_copied or self._co_owners.is_alone else None

    def serve(self, operation: Operation | Batch, budget_s: float) -> Answering:
        """Answer another node's call, made under this node's view."""
        if isinstance(operation, Read) and operation.context is None:
            value = self.read_here(operation.key)
            if value is not None:
                return value
        if isinstance(operation, Batch):
            return self._serve_together(operation, budget_s - self._config.reply_s)
        return self._serve(operation, self._time.monotonic() + budget_s - self._config.reply_s)

    async def _serve(self, operation: Operation, deadline: float) -> Answer:
        try:
            return await self._timeouts.within(deadline - self._time.monotonic(), self.carry_out(operation, deadline))
        except TimeoutError:
            return MayBeStored() if isinstance(operation, Write | WriteIf) else Unable()
        except PeerLost:
            return MayBeStored()  # Nobody will hear it: all links were closed when it noticed its pause.

    async def _serve_together(self, batch: Batch, limit_s: float) -> Answer:
        return Batched(tuple(await self.carry_out_together(batch.operations, limit_s)))

    async def carry_out_together(self, operations: Sequence[Read | Write], limit_s: float) -> Sequence[BatchAnswer]:
        """See `together`: what takes more than this node's disk and its co-owners is left."""
        self.served_at = self._time.monotonic()
        return await self._together.carry_out(operations, limit_s)

    def write_here(self, view_id: ViewId, jobs: Sequence[Job]) -> Awaitable[Sequence[BatchAnswer] | None]:
        """See `together`, as for `writes_here`."""
        self.served_at = self._time.monotonic()
        return self._together.write_here(view_id, jobs, self._config.attempt_s)

    async def carry_out(self, operation: Operation, deadline: float) -> Answer:
        """ViewIs: the view has changed, this node may not be the owner any more. Nothing is begun after `deadline`, but
        what was begun may hang for as long as a disk or a peer does: the caller sets it a limit. Raises PeerLost if
        this node was paused while it wrote: others may have taken its place and not have seen the write."""
        is_stored = False
        while True:
            end = await self._attempt(operation, deadline)
            if not isinstance(end, NewAttempt):
                break
            is_stored |= end.is_stored
            if end.wait_s:
                await asyncio.sleep(end.wait_s)
        if is_stored and not isinstance(end, Wrote):
            return MayBeStored()  # Whoever believes that it was refused stamps it anew: it would happen twice.
        return end

    async def _attempt(self, operation: Operation, deadline: float) -> Answer | NewAttempt:
        """Do it under the view in force now, or not at all."""
        if not self._readiness.enter() and not await self._readiness.wait_until_ready(deadline):
            return Unable()
        self.served_at = self._time.monotonic()
        if self.served_at >= deadline:
            return Unable()
        view_id, partition = self._views.view_id, partition_of(operation.key)
        if self._config.address not in self._who_may(operation, partition):
            return self._views.told()
        demand = self._causality.demand(operation, operation.context) if operation.context else None
        sightings = NOBODY_ASKED
        asked = self._whom_to_ask(partition, demand)
        if asked:
            found = await self._inquiry.find_out(asked, partition, operation.key, view_id)
            if isinstance(found, NewAttempt):
                return found
            sightings = found
        if self._co_owners.is_behind and not self._is_co_owner_heard(sightings):
            return Unable()
        if demand is not None and demand.may_refuse and not self._is_met(demand, partition, operation.key, sightings):
            return Unsatisfied()
        if isinstance(operation, Read):
            return await self._read(view_id, partition, operation, sightings)
        if expiry_of(operation) is not None and self._calls.older(self._views.ring.owners(partition)):
            return Unable()  # They would refuse it, and all that comes behind it would wait.
        kept = b"" if demand is None else demand.kept
        if isinstance(operation, WriteIf):
            return await self._decider.decide(view_id, partition, operation, kept, asked, sightings)
        return await self._write(view_id, partition, operation, kept, sightings)

    def _who_may(self, operation: Operation, partition: int) -> Shard:
        """Carry it out, in the order of the ring."""
        owners = self._views.ring.owners(partition)
        return owners[:1] if isinstance(operation, WriteIf) else owners

    # Whom to ask

    def _whom_to_ask(self, partition: int, demand: Demand | None) -> Set[Address]:
        asked = self._not_synced_with(partition)
        return asked if demand is None else {*asked, *demand.whom_to_ask}

    def _is_co_owner_heard(self, sightings: Sightings) -> bool:
        return any(self._co_owners.get(peer) is not None for peer in sightings.heard)

    def _is_met(self, demand: Demand, partition: int, key: bytes, sightings: Sightings) -> bool:
        donors = self._causality.donors_waited_for(partition, sightings.heard)
        return demand.is_met(self._store.get(partition, key), sightings.newest, sightings.heard, donors)

    def fetch(self, key: bytes) -> Fetched:
        """Answer an owner that asks this node."""
        self.served_at = self._time.monotonic()
        return self._inquiry.answer(key)

    # Reading

    async def _read(self, view_id: ViewId, partition: int, read: Read, sightings: Sightings) -> Answer | NewAttempt:
        found = await self._inquiry.newest(view_id, partition, read.key, sightings)
        if isinstance(found, NewAttempt):
            return found
        if found.record is None and not sightings.is_complete:
            return Unable()
        return self._found(read, *found)

    def _found(self, read: Read, record: Record | None, holder: Address) -> ReadResult:
        context = read.context
        if context is not None:
            context = self._causality.after_seeing(context, read.key, record, holder)
        return told(record, context, self._now_ms())

    # Writing

    async def _write(
        self, view_id: ViewId, partition: int, write: Write, kept: bytes, sightings: Sightings
    ) -> Answer | NewAttempt:
        earliest = self._time.monotonic() + self._config.lease_s if self._views.donors.of(partition) else 0.0
        try:
            outcome = await self._store.write(
                view_id,
                partition,
                write.key,
                write.version,
                write.value,
                sightings.newest,
                sightings.is_complete,
                kept,
                expires_ms=expiry_of(write),
                now_ms=self._now_ms,
            )
        except Fenced:
            return NewAttempt(self._config.retry_s)
        except CommitFailed:
            return MayBeStored()
        except StorageFault:
            return Unable()
        self._demand_ready()
        match outcome:
            case Written():
                replaced, is_noted = outcome.replaced, not outcome.is_repeated
                if self._co_owners.is_alone and not sightings.is_donor_silent:
                    return self._wrote(write, replaced, NO_PEERS)  # Spared the way through an empty wait.
                return await self._replicate(write, replaced, earliest, sightings.is_donor_silent, is_noted)
            case Absent():
                newest = await self._inquiry.newest(view_id, partition, write.key, sightings)
                return newest if isinstance(newest, NewAttempt) else self._nothing_deleted(partition, write)
            case Newer(version):
                return Superseded(version)
            case Unsure():
                return Unable()
            case Unmatched():
                raise AssertionError("there was no condition")

    async def _replicate(
        self, write: Write, replaced: bool, earliest: float, is_donor_silent: bool, is_noted: bool
    ) -> Answer | NewAttempt:
        """Answer once all have it. No co-owner is left out before `earliest` (monotonic), and a donor that is silent
        may still answer alone until its leases end."""
        try:
            left_out = await self._streams.await_copies([write.key], (), earliest, is_noted)
            if is_donor_silent:
                await asyncio.sleep(self._co_owners.old_leases_end() - self._time.monotonic())
        except Fenced:
            return NewAttempt(is_stored=True)
        self._demand_ready()
        return self._wrote(write, replaced, left_out)

    def _demand_ready(self) -> None:
        """After each wait of a write that has been handed to the store. Raises PeerLost if this node may not act now:
        others may have taken its place, and may not have seen the write."""
        if not self._readiness.enter():
            raise PeerLost("this node was paused")

    def _wrote(self, write: Write, replaced: bool, left_out: Set[Address]) -> Wrote:
        context = write.context
        if context is not None:
            context = self._causality.after_write(context, write, is_everywhere=not left_out)
        if not left_out:
            return Wrote(replaced, context)
        owners = self._views.ring.owners(partition_of(write.key))
        return Wrote(replaced, context, Copies(len(set(owners) - left_out), len(owners)))

    def _nothing_deleted(self, partition: int, write: Write) -> NothingDeleted:
        if write.context is None:
            return NothingDeleted()
        tombstone, me = self._store.get(partition, write.key), self._config.address
        return NothingDeleted(self._causality.after_seeing(write.context, write.key, tombstone, me))


def expiry_of(write: Write | WriteIf) -> int | None:
    """When what it puts expires; None: it stays."""
    return write.expires_ms if isinstance(write, WriteExpiring | WriteIf) else None
