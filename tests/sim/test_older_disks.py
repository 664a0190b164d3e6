"""Machines that come back with a copy of their disk that was made a while ago, or with the disk of another one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any

import pytest

from node.errors import Unavailable
from node.net.messages import ReadResult
from ring.hashing import partition_of
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine
from tests.sim.peace import read

STEADY_S = 5.0
KNOWN_S = 0.5
"""For others to be gossiped with, so that they can say what they remember."""
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

    def owners(self, key: bytes) -> tuple[Machine, Machine, Machine]:
        """Both of them, and one that is none."""
        node = self.machines[0].node
        assert node is not None
        owners = [self.cluster.machines[owner] for owner in node.views.ring.owners(partition_of(key))]
        return owners[0], owners[1], next(machine for machine in self.machines if machine not in owners)

    def neighbour(self, key: bytes) -> bytes:
        """A key of the same partition."""
        return next(other for n in count() if partition_of(other := b"n%d" % n) == partition_of(key))

    async def until_it_serves(self, machine: Machine) -> None:
        while machine.node is None or not machine.node.readiness.is_ready:
            await asyncio.sleep(0.001)

    async def until_alike(self, *machines: Machine) -> None:
        while len({machine.node.own_keys.digest for machine in machines if machine.node is not None}) > 1:
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


@pytest.mark.parametrize("is_restarted", [False, True], ids=["at once", "started once more"])
def test_older_disk_says_nothing_while_only_others_know_that_it_is_older(is_restarted: bool) -> None:
    """Its co-owner is down. When that is back, it is asked; if it is removed, what it had is given up."""
    story = Story(4, repl_factor=2)

    async def tell() -> None:
        await story.start()
        older, other, bystander = story.owners(KEY)
        await story.put(older, KEY, b"old")
        copy = older.disk.copy()
        await story.put(older, KEY, b"new")
        await asyncio.sleep(2 * STEADY_S)
        other.crash()
        older.crash()
        older.put_back(copy)
        older.start()
        await story.until_it_serves(older)
        await asyncio.sleep(KNOWN_S)
        if is_restarted:
            older.crash()
            older.start()
            await story.until_it_serves(older)
        until = story.cluster.loop.now + STEADY_S
        while story.cluster.loop.now < until:
            for key in (KEY, story.neighbour(KEY)):
                with pytest.raises(Unavailable):
                    await story.value(older, key)
            await asyncio.sleep(0.1)
        if is_restarted:
            other.start()
            await asyncio.sleep(STEADY_S)
            assert await story.value(older, KEY) == b"new"
        else:
            remaining = [machine.address for machine in story.machines if machine is not other]
            await bystander.ask(lambda node: change(node, remaining), 10.0)
            assert await story.value(older, KEY) == b"old"

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
