"""How a write with a condition is decided, and by whom: the first owner of the key in the ring's order, alone.

So of any number of writes with the same condition one at most is made. Under one view the store's writer sees to that:
it compares and writes in one step. Across views, everybody is asked who may have what this node does not, or may still
decide, as before a read: all co-owners of which it has no lease, and all donors, which are fenced by being asked. Whose
lease it has, that one holds the view, and has told it all that was acknowledged. But no owner is left out as a plain
write may leave out a silent one; where one cannot be heard, nobody can know, and the client is told so (503). Who could
not be reached when it was removed is given up, as for reads. And two views that do not know of each other cannot both
decide: see `views.quorum`.

A quorum of the view's nodes is asked twice. After the write is on disk, so that no later view had been established by
then: what was acknowledged counts. And before: so that a node which was replaced unawares writes nothing at all. What
it wrote all the same, if it was replaced just in between, was stamped before the quorum heard of it, and with that
whoever decides under a later view. There, only stamps above all that was heard of until the view came count; so when
the late write comes home, it finds something newer wherever something was decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import CommitFailed, Fenced, PeerLost, StorageFault
from node.net.messages import Answer, MayBeStored, NothingDeleted, Superseded, Unable, Unheard, Unmet, WriteIf, Wrote
from node.operations.causality import Causality
from node.operations.inquiry import Inquiry, NewAttempt
from node.operations.sightings import Sightings
from node.replication.co_owners import CoOwners
from node.replication.streams import Streams
from node.storage.store import Store
from node.storage.writes import Absent, Newer, Unmatched, Unsure, Written
from node.timing.clock import HybridClock, Time
from node.values.version import clock_of, make_version
from node.views.confirming import Confirming
from node.views.holder import Views
from node.views.readiness import Readiness

STORE_ID_MAX = (1 << 64) - 1


class Decider:
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
        confirming: Confirming,
        inquiry: Inquiry,
        causality: Causality,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        self._config = config
        self._time = time
        self._clock = clock
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._streams = streams
        self._confirming = confirming
        self._inquiry = inquiry
        self._causality = causality
        self._now_ms = now_ms
        self.change_view()

    def change_view(self) -> None:
        """Another view is in force. Nothing is decided under it that was stamped no later than what was heard of by
        now."""
        self._above = self._clock.reading

    def is_decider(self, partition: int) -> bool:
        return self._views.ring.owners(partition)[0] == self._config.address

    async def decide(
        self, view_id: ViewId, partition: int, write: WriteIf, kept: bytes, asked: Set[Address], sightings: Sightings
    ) -> Answer | NewAttempt:
        """Carry it out, now that `asked`, as before a read, have been asked. Unmet: nothing was written. Unheard:
        nor was it, for nobody can know. MayBeStored: it was, and may or may not last. Raises PeerLost if this node was
        paused while it wrote."""
        if (obstacle := await self._obstacle(view_id, write, asked, sightings)) is not None:
            return obstacle
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
                write.condition,
                write.expires_ms,
                self._now_ms,
            )
        except Fenced:
            return NewAttempt(self._config.retry_s)
        except CommitFailed:
            return MayBeStored()
        except StorageFault:
            return Unable()
        if not self._readiness.enter():
            raise PeerLost("this node was paused")
        match outcome:
            case Written():
                return await self._replicate(view_id, write, outcome, sightings)
            case Unmatched() | Absent():
                return await self._refuse(view_id, partition, write, isinstance(outcome, Absent), sightings)
            case Newer(version):
                return Superseded(version)
            case Unsure():
                return Unable()

    async def _obstacle(
        self, view_id: ViewId, write: WriteIf, asked: Set[Address], sightings: Sightings
    ) -> Answer | NewAttempt | None:
        """Why it cannot be carried out; None: it can be."""
        out_of_reach = {state.address for state in self._co_owners.all() if self._co_owners.is_out_of_reach(state)}
        unheard = {*out_of_reach, *sightings.unheard}.difference(self._views.current.absent)
        if not unheard:
            unheard |= set(await self._confirming.missing(asked & set(sightings.heard)))
            if not self._may_go_on(view_id):
                return NewAttempt()
        if unheard:
            return Unheard(tuple(sorted(unheard)))
        if clock_of(write.version) <= self._above:
            return Superseded(make_version(self._above, STORE_ID_MAX))
        return None

    async def _replicate(
        self, view_id: ViewId, write: WriteIf, outcome: Written, sightings: Sightings
    ) -> Answer | NewAttempt:
        """Answer once all have it, and nobody else can have decided meanwhile."""
        try:
            lacking = await self._streams.await_copies([write.key], (), 0.0, not outcome.is_repeated)
            if sightings.is_donor_silent:
                await asyncio.sleep(self._co_owners.old_leases_end() - self._time.monotonic())
        except Fenced:
            return NewAttempt(is_stored=True)
        have_it = [state.address for state in self._co_owners.all(lacking)]
        missing = {*lacking, *await self._confirming.missing(have_it)}
        if not self._readiness.enter():
            raise PeerLost("this node was paused")
        if self._views.view_id != view_id:
            return NewAttempt(is_stored=True)
        if missing:
            return MayBeStored(tuple(sorted(missing)))
        context = write.context
        if context is not None:
            context = self._causality.after_write(context, write, is_everywhere=True)
        return Wrote(outcome.replaced, context)

    async def _refuse(
        self, view_id: ViewId, partition: int, write: WriteIf, is_absent: bool, sightings: Sightings
    ) -> Answer | NewAttempt:
        """Tell what the key has instead. As with what is written, nobody is left out: who was told of it writes on the
        condition that it is there. `is_absent`: it has nothing that could be deleted."""
        found = await self._inquiry.newest(view_id, partition, write.key, sightings)
        if isinstance(found, NewAttempt):
            return found
        lacking: Set[Address] = frozenset()
        if found.record is not None and not self._co_owners.is_on_all(write.key, found.record.version):
            try:
                lacking = await self._streams.await_copies([write.key], are_noted=False)
            except (Fenced, StorageFault):
                return NewAttempt(self._config.retry_s)
        missing = {*lacking, *await self._confirming.missing(())}
        version = found.version(self._now_ms())
        is_refused = version is None if is_absent else not write.condition.is_met(version)
        if not is_refused or not self._may_go_on(view_id):
            return NewAttempt()  # Another write came in between, or another view.
        if missing:
            return Unheard(tuple(sorted(missing)))
        context = write.context
        if context is not None:
            context = self._causality.after_seeing(context, write.key, found.record, found.holder)
        return NothingDeleted(context) if is_absent else Unmet(version, context)

    def _may_go_on(self, view_id: ViewId) -> bool:
        return self._readiness.enter() and self._views.view_id == view_id
