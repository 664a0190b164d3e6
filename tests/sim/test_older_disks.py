"""Machines that come back with a copy of their disk that was made a while ago, or with the disk of another one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from node.net.messages import ReadResult
from tests.sim.cluster import Cluster, Machine
from tests.sim.peace import read

STEADY_S = 5.0
KEY, LATER = b"key", b"later"


class Story:
    def __init__(self, size: int, repl_factor: int) -> None:
        self.cluster = Cluster(1, size, size, repl_factor=repl_factor)
        self.machines = list(self.cluster.machines.values())

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)

    async def put(self, via: Machine, key: bytes, value: bytes | None) -> None:
        await via.ask(lambda node: node.router.write(key, value))

    async def value(self, via: Machine, key: bytes) -> bytes | None:
        answer = (await via.ask(lambda node: read(node, key))).answer
        assert isinstance(answer, ReadResult)
        return answer.value

    async def stamper(self, via: Machine) -> bytes:
        """The store id in the versions of what it is asked to write."""
        await self.put(via, KEY, b"1")
        (version,) = {record.version for machine in self.machines if (record := machine.disk.record(KEY)) is not None}
        return version[8:]

    async def until_it_serves(self, machine: Machine) -> None:
        while machine.node is None or not machine.node.readiness.is_ready:
            await asyncio.sleep(0.001)

    async def until_alike(self, *machines: Machine) -> None:
        while len({machine.node.digest for machine in machines if machine.node is not None}) > 1:
            await asyncio.sleep(0.01)


def test_older_disk_is_not_believed() -> None:
    """Its node answers from what its co-owner has, from its first moment on."""
    story = Story(2, repl_factor=2)
    older, other = story.machines

    async def tell() -> None:
        await story.start()
        for key in (KEY, b"gone"):
            await story.put(older, key, b"old")
        copy = older.disk.copy()
        for key, value in ((KEY, b"new"), (LATER, b"new"), (b"gone", None)):
            await story.put(older, key, value)
        await asyncio.sleep(STEADY_S)
        older.crash()
        older.put_back(copy)
        older.start()
        await story.until_it_serves(older)
        until = story.cluster.loop.now + STEADY_S
        while story.cluster.loop.now < until:
            assert [await story.value(older, key) for key in (KEY, LATER, b"gone")] == [b"new", b"new", None]
            await asyncio.sleep(0.01)
        assert older.node is not None and not older.node.co_owners.unleased()
        await story.until_alike(older, other)

    story.run(tell())


def test_older_disk_has_what_it_lacks_before_the_other_copy_dies() -> None:
    story = Story(2, repl_factor=2)
    older, other = story.machines

    async def tell() -> None:
        await story.start()
        await story.put(older, KEY, b"old")
        copy = older.disk.copy()
        await story.put(older, KEY, b"new")
        older.crash()
        older.put_back(copy)
        older.start()
        await story.until_it_serves(older)
        assert older.node is not None
        while older.node.co_owners.unleased():
            await asyncio.sleep(0.001)
        other.crash()
        assert await story.value(older, KEY) == b"new"

    story.run(tell())


def test_no_version_is_stamped_twice_from_one_disk() -> None:
    """Two nodes were made of one disk: whatever their clocks show, they stamp different versions."""
    story = Story(2, repl_factor=1)
    first, second = story.machines

    async def tell() -> None:
        await story.start()
        first.crash()
        second.crash()
        second.put_back(first.disk.copy())
        first.start()
        second.start()
        await asyncio.sleep(STEADY_S)
        ids = {await story.stamper(first), await story.stamper(second)}
        assert len(ids) == 2

    story.run(tell())
