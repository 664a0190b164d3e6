"""What expires when, as it is kept on disk: in the order of time, so that nothing is scanned to find what is due.

The entries change in the transactions that change their records, see `transaction`. A record of which the time has
come is a deletion whoever looks at it, see `values.record`; here it is turned into a tombstone, which gives its room
back, and takes it out of the figures. That takes no room, so a full disk goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from node.storage.kept import number, read_kept
from node.storage.keys import DONORS, EXPIRIES, Expiring, Setting, expiries_until, expiring_at, setting_place
from node.storage.transaction import Engine, Transaction

ENTRY_BYTES = 32
"""About so many one entry has, if its key is short."""
SCANNED_BYTES = 256 * 1024
"""Of entries that are looked at in one go."""
TURNED_BY_A_JOB = 16
"""Few: how many such jobs share a commit is bounded by the time that they take, and these records may be large."""


class Expiries:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.count = sum(1 for _ in self._all())
        """How many records expire that have not been turned into tombstones."""

    def note(self, transaction: Transaction) -> None:
        """It was committed."""
        self.count += transaction.expiring

    def next_ms(self) -> int | None:
        """When the next record expires, or has; None: none does. Raises StorageFault."""
        found = self._engine.scan(EXPIRIES, DONORS, 0)
        return expiring_at(found[0][0]).expires_ms if found else None

    def due(self, now_ms: int, count: int) -> list[Expiring]:
        """About `count` of those whose time has come by then, the first ones; empty: there are none. Raises
        StorageFault."""
        found = self._engine.scan(EXPIRIES, expiries_until(now_ms), count * ENTRY_BYTES)
        return [expiring_at(place) for place, _ in found]

    async def turn(self, due: Sequence[Expiring], now_ms: int) -> None:
        """Turn these into tombstones, and note that what expires up to `now_ms` has expired. Durable when it returns.
        Raises StorageFault."""

        parts = (due[start : start + TURNED_BY_A_JOB] for start in range(0, len(due), TURNED_BY_A_JOB))
        await asyncio.gather(*(self._engine.submit(partial(_turn, part, now_ms)) for part in parts))

    def told_ms(self) -> int:
        """The time up to which keys had been told to have expired when that was last noted; 0: none ever had."""
        kept = self._engine.get(setting_place(Setting.EXPIRED))
        return 0 if kept is None else read_kept(Setting.EXPIRED, number, kept)

    def by_partition(self) -> dict[int, set[Expiring]]:
        """All of them, for a check."""
        kept: dict[int, set[Expiring]] = {}
        for place in self._all():
            expiring = expiring_at(place)
            kept.setdefault(expiring.partition, set()).add(expiring)
        return kept

    def _all(self) -> Iterator[bytes]:
        """The places of all, read some at a time."""
        after = EXPIRIES
        while found := self._engine.scan(after, DONORS, SCANNED_BYTES):
            yield from (place for place, _ in found)
            after = found[-1][0] + b"\0"


def _turn(due: Sequence[Expiring], now_ms: int, transaction: Transaction) -> None:
    transaction.set(Setting.EXPIRED, now_ms.to_bytes(8))
    for expiring in due:
        transaction.expire(expiring)
