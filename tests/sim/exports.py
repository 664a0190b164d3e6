"""Exports of a store in which nodes come, go and die: what a client has told, up to the last cursor that it took."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count, islice

import msgspec

from node.errors import Unavailable
from node.node import Node
from node.operations.export_progress import Progress, decode
from ring.hashing import partition_of
from tests.sim.cluster import Machine, NoAnswer
from tests.sim.kept_keys import KeptKeys

PREFIX = b"k"
TENANTS = 40
"""In so many partitions all keys are: there are several in each, so that some are told in part."""
KEYS = sorted(islice((key for key in map(b"k%d".__mod__, count()) if partition_of(key) % 100 < 1), TENANTS * 4))
CHANGING = 20
"""So many of them, the first, are written again and again."""
LOST = 0.05
"""How likely it is that a reader goes before it has taken a block, and comes back with the last cursor it took."""


class Client:
    """One export, through whoever runs, until its end."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._rng = story.rng
        self.told: list[tuple[bytes, int]] = []
        self._cursor = Progress().encode(PREFIX)

    async def export(self, first: Machine | None = None) -> None:
        """`first`: whom to ask first."""
        acknowledged = dict(self._story.acknowledged)
        via = first or self._rng.choice(self._story.running())
        while not await self._go_on(via):
            await asyncio.sleep(0.1)
            via = self._rng.choice(self._story.running())
        told = Counter(key for key, _ in self.told)
        assert told == Counter(KEYS), f"missed {set(KEYS) - told.keys()}, twice {told - Counter(KEYS)}"
        assert all(value >= acknowledged.get(key, 0) for key, value in self.told), "older than what was acknowledged"

    async def _go_on(self, via: Machine) -> bool:
        """Whether it has come to its end."""
        story, progress = self._story, decode(self._cursor, PREFIX)

        async def ask(node: Node) -> None:
            await node.whole_store.exporter.export(PREFIX, progress, self._take)

        try:
            await via.ask(ask, 60.0)
        except NoAnswer:
            story.seen["died"] += 1
            return False
        except Unavailable:
            story.seen["refused"] += 1
            return False
        except ExceptionGroup as faults:
            assert not faults.split(ConnectionError)[1]
            story.seen["lost"] += 1
            return False
        story.seen["told"] += 1
        return True

    async def _take(self, lines: bytes, progress: Progress) -> None:
        if self._rng.random() < LOST:
            raise ConnectionResetError("the reader has gone")
        entries = map(msgspec.json.decode, lines.splitlines())
        self.told += [(entry["key"].encode(), entry["value"]) for entry in entries]
        self._cursor = progress.encode(PREFIX)
        await asyncio.sleep(self._rng.choice([0.0, 0.0, self._story.reader_s]))


class Story(KeptKeys):
    """Some of the keys that stay have ever new values."""

    def __init__(self, seed: int, size: int, members: int, repl_factor: int | None) -> None:
        super().__init__(KEYS, b"0", seed, size, members, repl_factor)
        self.seen = dict.fromkeys(("told", "refused", "died", "lost"), 0)
        self.acknowledged: dict[bytes, int] = {}
        self.reader_s = 0.05
        """For how long some readers have enough with a block."""

    async def go_on_exporting(self) -> None:
        while not self.is_over:
            await Client(self).export()

    async def go_on_writing(self) -> None:
        for number in count(1):
            if self.is_over:
                return
            key = KEYS[number % CHANGING]
            try:
                await self.put(key, b"%d" % number)
            except (Unavailable, NoAnswer):
                continue
            self.acknowledged[key] = number
            await asyncio.sleep(0.01)
