"""When a deletion may be forgotten, and how one that was forgotten stays one.

A deleted key leaves a tombstone, or any older copy would bring the key back. It may go once every owner has it, and
once nobody is left who could come home with an older copy and be believed. So each node keeps two clock readings on
disk:

- *seen*: all that anybody took from a client up to this was on all owners of its key. It follows the lowest of what
  the nodes of the view have announced to be stable, see `stability`; and is announced itself, by gossip, once it is on
  disk.
- *purged*: tombstones up to this are dropped here, and none is taken any more. It follows the lowest `seen` that the
  nodes of the view have announced, but by at least the grace behind the clock.

Hence *whatever is purged under a view, each of its nodes has seen*, dead or alive; so nodes of one view never doubt
each other's records, and none drops a copy for its age. What lies behind the horizon of others is only what a node
brings home that was removed, and stayed away for longer than the grace. The owners do not take from it what they
themselves do not have, up to their horizon, if it has not seen as much: the key may have been deleted since. Nor is it
taken into a view before it has brought home what it holds, see `coordinator`.

An owner that has just come, with an empty disk or into a view, has purged nothing yet, and believes what it is
brought; within seconds of the view being settled it knows better. Two sides of a cut that both change their views, and
stay apart for longer than the grace, do not doubt each other either: each has seen all there was on its own side.
"""

from __future__ import annotations

import asyncio
import logging

from gossip.core import Gossip
from gossip.view import Address
from node.clock import HybridClock
from node.config import Config
from node.errors import Fenced, StorageFault
from node.records import clock_of, decode_record
from node.stability import Stability
from node.store import Store
from node.views import Views

log = logging.getLogger(__name__)

STEPS_PER_GRACE = 24
"""Horizons are raised in steps that are the same on all nodes: copies differ, and are compared, only for a moment."""
SCAN_BYTES = 64 * 1024
"""Of records that are looked at in one go."""


class Purge:
    def __init__(
        self,
        config: Config,
        clock: HybridClock,
        store: Store,
        views: Views,
        gossip: Gossip,
        stability: Stability,
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._views = views
        self._gossip = gossip
        self._stability = stability
        self._swept = 0
        """Up to which clock no tombstones are left here."""

    async def run(self) -> None:
        """Forget what may be forgotten, for as long as the node runs."""
        while True:
            await asyncio.sleep(self._config.purge_every_s)
            try:
                await self._advance()
                await self._sweep()
            except (Fenced, StorageFault) as fault:
                log.debug("tombstones stay for now: %s", fault)

    async def _advance(self) -> None:
        seen = self._stability.everywhere()
        if seen > self._store.seen:
            await self._store.submit(lambda batch: batch.raise_seen(seen))
        purged = self._horizon()
        if purged > self._store.purged:
            await self._store.submit(lambda batch: batch.raise_purged(purged))

    def _horizon(self) -> int:
        """Up to which clock deletions may be forgotten; 0: nobody can say."""
        grace_ms = int(self._config.tombstone_grace_s * 1000)
        step_ms = max(1, grace_ms // STEPS_PER_GRACE)
        old_ms = max(0, self._clock.now_ms() - grace_ms) // step_ms * step_ms
        return min(old_ms << 16, *map(self._seen_by, self._views.current.nodes))

    def _seen_by(self, node: Address) -> int:
        """What `node` has announced, if it has settled the view in force."""
        if node == self._config.address:
            return self._store.seen if self._stability.announced() else 0
        member = self._gossip.members.get(node)
        record = None if member is None else member.record
        return 0 if record is None or record.settled_epoch != self._views.current.epoch else record.seen

    async def _sweep(self) -> None:
        """Drop the tombstones up to the horizon, partition by partition, so that nobody has to wait for it."""
        purged = self._store.purged
        if self._swept == purged:
            return
        for partition in sorted(self._store.occupied):
            stats = self._store.stats(partition)
            if stats.records > stats.live:
                await self._sweep_partition(partition, purged)
        self._swept = purged

    async def _sweep_partition(self, partition: int, purged: int) -> None:
        after: bytes | None = None
        while found := self._store.scan(partition, after, SCAN_BYTES):
            after = found[-1][0]
            records = [(key, decode_record(encoded)) for key, encoded in found]
            forgotten = [
                (partition, key, record.version)
                for key, record in records
                if not record.live and clock_of(record.version) <= purged
            ]
            if forgotten:
                await self._store.drop(self._views.stamp, forgotten)
            await asyncio.sleep(0)
