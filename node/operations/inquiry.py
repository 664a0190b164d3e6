"""What an owner finds out about a key from others, and brings to them, before it acts.

It asks whom it has not synced with: the co-owners of which it holds no lease, and the donors of the partition. Then it
looks into its own store, never before: a record that is handed over meanwhile is gone there and here by then. What is
newer than what it has, it keeps. What the answers say is judged by `sightings`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, LargeLate, StorageFault, TooManyCalls
from node.net.messages import Answer, Fetch, Fetched, Foreign
from node.operations.sightings import Asker, Sightings, weigh
from node.replication.co_owners import CoOwners
from node.replication.streams import Streams
from node.storage.store import Store
from node.timing.deadlines import Timeouts
from node.values.record import Record
from node.values.version import Version
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.hashing import partition_of

NO_PEERS: Set[Address] = frozenset()


class NewAttempt(NamedTuple):
    """How an attempt ends that has come to nothing: another one is begun, after a wait."""

    wait_s: float = 0.0
    is_stored: bool = False
    """Whether it has stored the write on this disk all the same."""


class Newest(NamedTuple):
    """What a read may tell of a key."""

    record: Record | None
    holder: Address
    """Who has it on disk."""

    def version(self, now_ms: int) -> Version | None:
        """Of the value; None if there is none."""
        return None if self.record is None or not self.record.is_live(now_ms) else self.record.version


class Inquiry:
    def __init__(
        self,
        config: Config,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        streams: Streams,
        calls: Calls,
    ) -> None:
        self._config = config
        self._store = store
        self._views = views
        self._readiness = readiness
        self._co_owners = co_owners
        self._streams = streams
        self._calls = calls
        self._timeouts = Timeouts()

    def not_synced_with(self, partition: int) -> Set[Address]:
        """Who may hold what this node does not, so that it must ask them before it answers; none if it may answer
        alone."""
        donors, unleased = self._views.donors.of(partition), self._co_owners.unleased()
        return {*donors, *unleased} if donors or unleased else NO_PEERS

    @property
    def is_synced(self) -> bool:
        """Whether `not_synced_with` names nobody, whatever the partition."""
        return not self._views.donors.shares and not self._co_owners.unleased()

    async def find_out(
        self, peers: Set[Address], partition: int, key: bytes, view_id: ViewId
    ) -> Sightings | NewAttempt:
        """What `peers` hold of the key. They are asked in parallel, and have told enough if nobody else has to be asked
        by then."""
        asked = sorted(peers)
        try:
            if len(asked) == 1:  # A task of its own takes as long as the question.
                answers = [await self._fetch(asked[0], key, view_id)]
            else:
                answers = await asyncio.gather(*(self._fetch(peer, key, view_id) for peer in asked))
        except (LargeLate, TooManyCalls):
            return NewAttempt(self._config.retry_s)
        is_other_view = self._views.view_id != view_id
        if not self._readiness.enter() or is_other_view or not self.not_synced_with(partition) <= peers:
            return NewAttempt()
        asker = Asker(
            self._views.current.nodes,
            self._views.ring.owners(partition),
            self._views.donors.of(partition),
            self._co_owners.is_waiting_to_be_filled(),
            self._store.purge_watermark,
            self._store.may_revive,
        )
        sightings = weigh(dict(zip(asked, answers, strict=True)), asker)
        return NewAttempt(self._config.retry_s) if sightings.is_undecided else sightings

    async def _fetch(self, peer: Address, key: bytes, view_id: ViewId) -> Answer | None:
        """None if it refused the connection or was silent, or if another cluster's node has its address now."""
        answer = await self._calls.ask_patiently(peer, Fetch(key), view_id)
        return None if isinstance(answer, Foreign) else answer

    def answer(self, key: bytes) -> Fetched:
        """Answer an owner that asks this node. It does so under this node's view: no write can follow here that the
        owner does not hear of."""
        return Fetched(
            self._store.encoded(partition_of(key), key), self._store.stable_watermark, self._co_owners.may_lack()
        )

    async def newest(self, view_id: ViewId, partition: int, key: bytes, sightings: Sightings) -> Newest | NewAttempt:
        """What there is to tell of the key, once no later read can be told anything older, through whatever node. A
        write that is under way may have come to some owners only, and whoever brings it may die before it comes to the
        others; so they are brought what is told here, and waited for."""
        record, seen, me = self._store.get(partition, key), sightings.newest, self._config.address
        if seen is not None and (record is None or record.version < seen.version):
            record = seen
            try:
                keeping = self._store.merge(view_id, [(partition, key, seen.encode())], exclude={sightings.source})
                await self._timeouts.within(self._config.keep_s, keeping)
            except Fenced:
                return NewAttempt(self._config.retry_s)
            except (StorageFault, TimeoutError):  # It cannot be kept here, nor be brought to anybody.
                return Newest(record, sightings.source) if sightings.agree else NewAttempt(self._config.retry_s)
        if record is None or self._co_owners.has_spread(key, record.version):
            return Newest(record, me)
        has_it = sightings.holders if seen is not None and seen.version == record.version else ()
        try:
            if await self._streams.await_copies([key], has_it, are_noted=False) and has_it:
                await self._streams.await_copies([key])  # They have it, but must hear who was left out of it.
        except (Fenced, StorageFault):
            return NewAttempt(self._config.retry_s)
        self._co_owners.note_spread(key, record.version)
        return Newest(record, me) if self._readiness.enter() else NewAttempt()
