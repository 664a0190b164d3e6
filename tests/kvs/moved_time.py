"""A time for locks that passes when a test says so, on both sides: the holder's and the store's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.kvs.fake_store import FakeStore

PATIENCE_S = 20.0


class MovedTime:
    def __init__(self, store: FakeStore) -> None:
        self._now = 1000.0
        self.sleepers: list[tuple[float, asyncio.Event]] = []
        store.now = self.now

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        self.sleepers.append((self._now + seconds, woken))
        await woken.wait()

    def move(self, seconds: float) -> None:
        """As a pause does: nothing runs meanwhile."""
        self._now += seconds
        for until, woken in self.sleepers:
            if until <= self._now:
                woken.set()
        self.sleepers = [sleeper for sleeper in self.sleepers if not sleeper[1].is_set()]


async def come_true(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
