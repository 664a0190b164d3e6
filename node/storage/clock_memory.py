"""What the clock must know when its process starts again, on disk."""

from __future__ import annotations

import asyncio

import msgspec

from node.errors import StorageFault
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.timing.clock import Anchor, Memory

_readings = msgspec.msgpack.Decoder(tuple[int, int])
_anchors = msgspec.msgpack.Decoder(Anchor)


class ClockMemory:
    """`commit_s`: how long a disk may take. A stamp may wait for it."""

    def __init__(self, store: Store, commit_s: float) -> None:
        self._store = store
        self._commit_s = commit_s

    def recall(self) -> Memory:
        """Raises StorageFault."""
        ceiling, lead_ms = self._store.kept(Setting.CLOCK, _readings.decode, (0, 0))
        return Memory(ceiling, lead_ms, self._store.kept(Setting.CLOCK_ANCHOR, _anchors.decode, None))

    async def keep(self, memory: Memory) -> None:
        """Raises StorageFault, also if the disk takes too long."""

        def job(transaction: Transaction) -> None:
            transaction.set(Setting.CLOCK, msgspec.msgpack.encode((memory.ceiling, memory.lead_ms)))
            if memory.anchor is not None:
                transaction.set(Setting.CLOCK_ANCHOR, msgspec.msgpack.encode(memory.anchor))

        try:
            async with asyncio.timeout(self._commit_s):
                await self._store.submit(job)
        except TimeoutError:
            raise StorageFault("the disk hangs") from None
