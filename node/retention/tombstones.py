"""When a deletion may be forgotten, and why one that was forgotten stays a deletion.

A deleted key leaves a tombstone, or any older copy would bring the key back. It may go once every owner has it, and
once no node is left that could come home with an older copy and be believed. So each node keeps clock readings:

- The *stable watermark*, on disk: all that anybody took from a client up to this was on all owners of its key. It
  follows the lowest of what the nodes of the view have announced, see `stability`. A store that holds nothing has
  missed nothing, so its stable watermark begins at the moment when it is made, or taken into a view.
- The *purge watermark*, on disk: tombstones up to this are dropped here, and none is taken any more. It follows the
  lowest of what the nodes of the view announce by gossip to be *forgettable*: no higher than the stable watermark of
  each, nor than its wall clock less the grace. The slowest clock decides, so that one which is ahead forgets nothing
  too early.
- The *sweep watermark*, in memory: up to this, they have been dropped.

Once a node has been removed from a view, nothing is forgotten for the time of the grace (`View.spare_until_ms`): what
it may have missed while it was down, with the view waiting for it, is remembered until then. Hence the invariant: *if a
node brings something home within the grace of its removal, its stable watermark is not below the purge watermark of the
owners*.

A node that comes from outside the view with a stable watermark below the owner's purge watermark *may revive deleted
keys*: of what it brings, a record at or below the purge watermark may be of a key that was deleted since, and the owner
does not take it. Nodes of one view always believe each other, and none drops a copy for its age. Therefore no node is
taken into a view before it has brought home what it holds, see `coordinator`.

An owner that has just come, with an empty disk or into a view, has a purge watermark of 0, and believes what it is
brought; within seconds of the view being settled it knows better. Two sides of a cut that both change their views, and
stay apart for longer than the grace, believe each other too: the stable watermark of each covers its own side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from gossip.view import Address
from node.config import Config
from node.errors import Fenced, StorageFault
from node.retention.stability import Stability
from node.storage.store import Store
from node.timing.clock import Time
from node.values.record import is_forgotten, version_of
from node.values.version import Version, reading_at
from node.views.holder import Views

log = logging.getLogger(__name__)

STEPS_PER_GRACE = 24
"""The purge watermark rises in steps that are the same on all nodes, so that copies differ in it only for a moment."""
SCAN_BYTES = 64 * 1024
"""How much of the records is looked at in one go."""
DROPPED_AT_ONCE = 500
"""Tombstones that one job drops, in some milliseconds of the loop's time."""


class Tombstones:
    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        stability: Stability,
        now_ms: Callable[[], int],
        holds_of_others: Callable[[], bool],
    ) -> None:
        """`now_ms`: the time by the fastest clock that can be believed. `holds_of_others`: whether there is anything
        here that this node does not own, and has yet to bring home. Of what was deleted from that since, it has not
        heard."""
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._stability = stability
        self._now_ms = now_ms
        self._holds_of_others = holds_of_others

    async def run(self) -> None:
        """Forget what may be forgotten, for as long as the node runs."""
        while True:
            await asyncio.sleep(self._config.purge_every_s)
            try:
                await self._advance()
                await self._sweep()
            except (Fenced, StorageFault) as fault:
                log.debug("tombstones stay for now: %s", fault)

    def forgettable(self) -> int:
        """Up to which clock deletions may be forgotten as far as this node is concerned; 0: none."""
        now_ms = min(self._time.wall_ms(), self._now_ms())
        if not self._stability.announced or now_ms < self._views.current.spare_until_ms or self._holds_of_others():
            return 0
        grace_ms = self._config.tombstone_grace_ms
        step_ms = max(1, grace_ms // STEPS_PER_GRACE)
        return min(self._store.stable_watermark, reading_at(max(0, now_ms - grace_ms) // step_ms * step_ms))

    async def _advance(self) -> None:
        stable = self._stability.announced_by_all()
        if stable > self._store.stable_watermark and not self._holds_of_others():
            await self._store.submit(lambda transaction: transaction.raise_stable_watermark(stable))
        forgettable = min(map(self._forgettable_to, self._views.current.nodes))
        if forgettable > self._store.purge_watermark:
            await self._store.submit(lambda transaction: transaction.raise_purge_watermark(forgettable))

    def _forgettable_to(self, node: Address) -> int:
        """What `node` has announced under the view in force."""
        if node == self._config.address:
            return self.forgettable()
        record = self._stability.settled_record(node)
        return 0 if record is None else record.forgettable

    async def _sweep(self) -> None:
        """Drop the tombstones up to the purge watermark, some at a time, so that nobody has to wait for it."""
        purge_watermark = self._store.purge_watermark
        if self._store.sweep_watermark == purge_watermark:
            return
        next_ms = self._store.expiries.next_ms()
        if next_ms is not None and reading_at(next_ms) <= purge_watermark:
            return  # It is to be forgotten, but has yet to be turned into a tombstone: see `expiry`.
        forgotten: list[tuple[int, bytes, Version]] = []
        for partition in sorted(self._store.occupied):
            stats = self._store.stats(partition)
            if stats.records > stats.live:
                forgotten += self._tombstones(partition, purge_watermark)
                await asyncio.sleep(0)
            while len(forgotten) >= DROPPED_AT_ONCE:
                await self._drop(forgotten[:DROPPED_AT_ONCE])
                del forgotten[:DROPPED_AT_ONCE]
        await self._drop(forgotten)
        self._store.note_swept(purge_watermark)

    async def _drop(self, forgotten: Sequence[tuple[int, bytes, Version]]) -> None:
        if forgotten:
            await self._store.drop(self._views.view_id, forgotten)

    def _tombstones(self, partition: int, purge_watermark: int) -> Iterator[tuple[int, bytes, Version]]:
        """Those of the partition up to that clock."""
        after: bytes | None = None
        while found := self._store.scan(partition, after, SCAN_BYTES):
            after = found[-1][0]
            for key, encoded in found:
                if is_forgotten(encoded, purge_watermark):
                    yield partition, key, version_of(encoded)
