"""Keys that expire: what has expired becomes a tombstone on disk, soon after its time.

For whoever reads, it is one from that moment on, see `values.record`. What is left to do is to give back the room of
the value, and to take the key out of the counts. Each node does that by itself, by its own clock, and tells nobody:
every copy holds the same record, with the same time. Digests stay as they are, since they go by key and version.

*Why a key that has expired does not come back.* From its time on, its record is a deletion stamped with its version,
so all that holds for deletions holds for it; see `tombstones`. No older record is taken while it is here, in whichever
form. It is forgotten once version and expiry are both at or below the purge watermark: then every owner had it, or a
later one, and no node that may have missed it is believed. That is told by the record and the watermark alone, so all
copies forget it alike, whether they have swept it or not, and none takes it back from one that has not: hence a
tombstone keeps its expiry. One that has not expired lies above every watermark, however old it is. And since watermarks
follow the readings of clocks, which move with what is written, whoever has turned something moves its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from node.config import Config
from node.errors import StorageFault
from node.storage.store import Store
from node.timing.expiry_clock import ExpiryClock
from node.values.version import reading_at

log = logging.getLogger(__name__)

TURNED_AT_ONCE = 128
"""Looked for in one go, and in the queue of the disk at once: clients wait behind no more."""
WAIT_S_MIN = 0.01
"""Keys that expire one right after the other are turned together."""


class Expiry:
    def __init__(self, config: Config, store: Store, clock: ExpiryClock, observe: Callable[[int], None]) -> None:
        """`observe`: of the hybrid clock."""
        self._config = config
        self._store = store
        self._clock = clock
        self._observe = observe

    async def run(self) -> None:
        """Turn what has expired into tombstones, for as long as the node runs."""
        while True:
            try:
                await self.sweep()
                wait_s = self._wait_s()
            except StorageFault as fault:
                log.debug("what has expired stays for now: %s", fault)
                wait_s = self._config.expire_every_s
            await asyncio.sleep(wait_s)

    def _wait_s(self) -> float:
        """Until the next one, but no longer than it may take to notice an earlier one, or another time."""
        longest_s, next_ms = self._config.expire_every_s, self._store.expiries.next_ms()
        if next_ms is None or not self._clock.is_sure:
            return longest_s
        return min(longest_s, max(WAIT_S_MIN, (next_ms - self._clock.now_ms()) / 1000))

    async def sweep(self) -> None:
        """All that has expired by now, some at a time, so that nobody has to wait for it. Raises StorageFault."""
        if not self._clock.is_sure:
            return
        now_ms = self._clock.now_ms()
        while due := self._store.expiries.due(now_ms, TURNED_AT_ONCE):
            await self._store.expiries.turn(due, now_ms)
            self._observe(reading_at(now_ms))
        self._clock.note_turned(now_ms)
