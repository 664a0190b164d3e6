"""What is on every owner, so that no causal context needs to speak of it any more.

An owner announces, in its gossip record, a clock reading: *all that I took from clients up to this is on all owners of
its key*. A context entry at or below the lowest announcement of its key's owners is dropped by any node that renders an
answer. The owner that took the write is one of them, so its announcement holds the entry back until the write has
spread; which other nodes there are, dead or alive, does not matter. An owner that was never heard of, or has not
settled this view, has announced 0.

Why an announcement of `s` stays true:
- *Nothing is taken at or below it later.* Before it is announced, `s` becomes the store's low watermark of writes, by a
  job in the queue of the writes: each write at or below `s` either ran before that job, and is in the outboxes once the
  job's commit is reported, or comes after it, and is refused and stamped anew above `s`. If writes were merely compared
  with `s` when they arrive, one could slip below it while it waits for the disk.
- *What was taken before has arrived.* `s` is a candidate until each co-owner is in step with this node, and has
  confirmed all that was in its outbox when the low watermark was raised; only then is it announced. A co-owner that is
  down, cut off, not compared with since the start or the change of view, or behind an overflow, holds it back. What
  came from another co-owner is for that one to announce.
- *A restart*: the low watermark is on disk, so it holds although others still have the announcement of the life before.
  The new life announces nothing until all co-owners have been compared with again.
- *A change of view*: an announcement counts only for the view under which it was made, by an owner that had settled
  it, so that no donor of the view has anything left; new owners begin without any. What a removed node brings home
  later may lie below: contexts may be forgotten across a change of view.
- *An owner that is no longer settled* under the same view, because a node comes home or a co-owner has lost its disk,
  announces nothing from the next round of gossip on. What it announced before was true when it was made, and those who
  have heard of it go by it for longer than that anyway.
- *Clocks that differ*: `s` is a reading that this node had some time ago, not one of its wall clock. Every message
  carries readings, so by then all others stamp above it, however slow their own clocks are; a node that was cut off and
  does not is refused once. "Some time" is longer than any request lives: a write that is tried at a second owner
  because the first was lost must not be refused there for its age.
- *An emptied disk* loses the low watermark, and with it the proof for what a slow clock stamps in its first moments.

A reading moves with writes and with what is observed, not by itself: an idle cluster announces nothing new.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from gossip.core import Gossip
from gossip.messages import MemberRecord
from gossip.view import Address, ViewId
from node.config import Config
from node.errors import StorageFault
from node.replication.co_owners import CoOwners
from node.replication.peer_state import PeerState
from node.storage.store import Store
from node.timing.clock import HybridClock, Time
from node.values.context import Context, owner_id
from node.views.holder import Views
from ring.hashing import partition_at
from ring.ring import Ring

log = logging.getLogger(__name__)


class _Reading(NamedTuple):
    """A clock reading that counts under one view."""

    view_id: ViewId
    clock: int

    def under(self, view_id: ViewId) -> int:
        return self.clock if view_id == self.view_id else 0


class _Candidate(NamedTuple):
    """What will be announced: `clock`, under that view, once the co-owners have passed `marks`."""

    view_id: ViewId
    clock: int
    marks: Mapping[PeerState, int]


class Stability:
    """What this node announces, and what it makes of the announcements of others. `run` must be running, and `advance`
    be called before each round of gossip."""

    def __init__(
        self,
        config: Config,
        time: Time,
        clock: HybridClock,
        store: Store,
        views: Views,
        co_owners: CoOwners,
        gossip: Gossip,
    ) -> None:
        self._config = config
        self._time = time
        self._clock = clock
        self._store = store
        self._views = views
        self._co_owners = co_owners
        self._gossip = gossip
        self._readings: deque[tuple[float, int]] = deque()
        """When this node's clock had which reading: the last that is old enough, and what came after it."""
        self._candidate: _Candidate | None = None
        self._reached = _Reading(views.view_id, 0)
        """The last candidate that all co-owners have passed."""
        self._announced = _Reading(views.view_id, 0)
        """What the last round of gossip says."""
        self._ids: tuple[Ring, Mapping[int, Address]] | None = None
        clock.observe(store.low_watermark())

    # As an owner

    async def run(self) -> None:
        """Raise the low watermark behind the clock, for as long as the node runs."""
        while True:
            self._readings.append((self._time.monotonic(), self._clock.reading))
            await asyncio.sleep(self._config.stable_every_s)
            try:
                await self._find_candidate()
            except StorageFault as fault:
                log.debug("the low watermark stays where it is: %s", fault)

    async def _find_candidate(self) -> None:
        self._judge_candidate()
        before = self._time.monotonic() - self._config.stable_lag_s
        while len(self._readings) > 1 and self._readings[1][0] <= before:
            self._readings.popleft()
        since, reading = self._readings[0]
        low_watermark, view_id = self._store.low_watermark(), self._views.view_id
        clock = max(reading, low_watermark) if since <= before else low_watermark
        if clock <= self._reached.under(view_id) or self._candidate is not None:
            return
        if clock > low_watermark:
            await self._store.submit(lambda transaction: transaction.raise_low_watermark(clock))
        self._candidate = _Candidate(view_id, clock, self._co_owners.marks())

    def _judge_candidate(self) -> None:
        """It may be announced if it is true by now; it is dropped if it was of another view."""
        candidate, view_id = self._candidate, self._views.view_id
        if candidate is None:
            return
        if candidate.view_id != view_id:
            self._candidate = None
        elif self._co_owners.have_passed(candidate.marks):
            self._reached, self._candidate = _Reading(view_id, candidate.clock), None

    def advance(self, is_settled: bool) -> None:
        """A round of gossip begins. `is_settled`: whether this node has settled the view in force by now; if not, it
        announces nothing. What it announces stands until the next round, but under no other view."""
        self._judge_candidate()
        view_id = self._views.view_id
        self._announced = _Reading(view_id, self._reached.under(view_id) if is_settled else 0)
        me = self._config.address
        self._co_owners.note_stable(self._lowest((me, *self._views.ring.co_owners(me))))

    @property
    def announced(self) -> int:
        """Up to which clock all that this node took as an owner is on all owners, under the view in force; 0: it cannot
        say."""
        return self._announced.under(self._views.view_id)

    def announced_by_all(self) -> int:
        """Up to which clock all that anybody took is on all owners of its key; 0: this node cannot say."""
        return self._lowest(tuple(self._views.current.nodes)) if self.announced else 0

    # As a node that renders answers

    def unstable(self, context: Context) -> Context:
        """`context`, less what is known to be on all owners. What no clock can have stamped yet goes too: no node would
        take a context back that still had it."""
        if not context:
            return context
        owners = self._views.ring.owners
        forgotten = self._store.purge_watermark  # Nothing as old as that can be asked for.
        return context.without_stable(
            lambda key: max(forgotten, self._lowest(owners(partition_at(key)))),
            lambda owner: max(forgotten, self._of_owner(owner)),
            self._clock.latest,
        )

    def _of_owner(self, owner: int) -> int:
        """The lowest announcement of all who share a key with this owner. What a node had that is not in the view may
        be on its way to any that is."""
        address = self._addresses().get(owner)
        if address is None:
            return self._lowest(tuple(self._views.current.nodes))
        return self._lowest((address, *self._views.ring.co_owners(address)))

    def _lowest(self, owners: tuple[Address, ...]) -> int:
        return min(map(self._heard, owners))

    def _heard(self, owner: Address) -> int:
        """What `owner` has announced under the view in force."""
        if owner == self._config.address:
            return self.announced
        record = self.settled_record(owner)
        return 0 if record is None else record.stable

    def settled_record(self, node: Address) -> MemberRecord | None:
        """What another node says of itself by gossip, if it has settled the view that is in force here."""
        member = self._gossip.members.get(node)
        record = None if member is None else member.record
        return None if record is None or record.settled_digest != self._views.view_id.digest else record

    def _addresses(self) -> Mapping[int, Address]:
        ring = self._views.ring
        if self._ids is None or self._ids[0] is not ring:
            self._ids = ring, {owner_id(address): address for address in self._views.current.nodes}
        return self._ids[1]
