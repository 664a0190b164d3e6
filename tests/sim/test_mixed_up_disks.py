"""Nodes that are started on the directory of another one: two were swapped by mistake, or one was copied."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from node.errors import Unavailable
from node.net.messages import ReadResult
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.peace import read

STEADY_S = 5.0
KEYS = [b"k%d" % number for number in range(30)]


class Story:
    def __init__(self, size: int, members: int, repl_factor: int | None) -> None:
        self.cluster = Cluster(1, size, members, repl_factor=repl_factor)
        self.machines = list(self.cluster.machines.values())

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)
        await self.put(b"old")

    async def put(self, value: bytes | None) -> None:
        for key in KEYS:
            await self.machines[0].ask(lambda node, key=key: node.router.write(key, value))  # type: ignore[misc]

    def swap(self, one: Machine, other: Machine) -> None:
        """Both come to their end, and each gets what the other one had."""
        one.crash()
        other.crash()
        disks = one.disk, other.disk
        other.put_back(disks[0])
        one.put_back(disks[1])

    async def look(self, via: Sequence[Machine], value: bytes | None, for_s: float) -> set[bytes]:
        """Read all keys again and again, and see that none is ever anything else. Returns those that were read."""
        found: set[bytes] = set()
        until = self.cluster.loop.now + for_s
        while self.cluster.loop.now < until:
            for key in KEYS:
                for machine in via:
                    try:
                        answer = (await machine.ask(lambda node, key=key: read(node, key))).answer  # type: ignore[misc]
                    except (NoAnswer, Unavailable):
                        continue
                    assert isinstance(answer, ReadResult) and answer.value == value, f"{key!r} via {machine.address}"
                    found.add(key)
            await asyncio.sleep(0.01)
        return found

    def is_home(self) -> bool:
        """Whether each node has just what it should have."""
        nodes = [machine.node for machine in self.machines if machine.node is not None]
        shards = nodes[0].views.current.shards
        digests = {node.config.address: node.own_keys.digest for node in nodes}
        alike = all(len({digests[address] for address in shard}) == 1 for shard in shards)
        return alike and all(node.handoff.is_settled() and not node.handoff.misplaced() for node in nodes)


@pytest.mark.parametrize(("size", "factor"), [(2, None), (4, 2)], ids=["one copy", "two copies"])
def test_swapped_disks_lose_nothing_and_serve_nothing_stale(size: int, factor: int | None) -> None:
    story = Story(size, size, factor)
    shards_apart = story.machines[0], story.machines[-1]

    async def tell() -> None:
        await story.start()
        await story.put(b"new")
        story.swap(*shards_apart)
        for machine in shards_apart:
            machine.start()
        assert await story.look(story.machines, b"new", STEADY_S) == set(KEYS)
        assert story.is_home()

    story.run(tell())


def test_swapped_disk_does_not_deny_what_is_in_the_other_one() -> None:
    """The other one is not there yet."""
    story = Story(2, 2, None)
    one, other = story.machines

    async def tell() -> None:
        await story.start()
        story.swap(one, other)
        one.start()
        found = await story.look([one], b"old", STEADY_S)
        assert len(found) < len(KEYS)
        one.crash()
        one.start()  # Nor is that forgotten when it is started once more.
        assert await story.look([one], b"old", STEADY_S) == found
        other.start()
        assert await story.look([one, other], b"old", STEADY_S) == set(KEYS)
        assert story.is_home()

    story.run(tell())


@pytest.mark.parametrize("number", [1, 2], ids=["of a member", "of a node outside the view"])
def test_copied_disk_under_another_address_brings_nothing_back(number: int) -> None:
    """The copy is older, and what it has was overwritten or deleted since."""
    story = Story(3, 2, 2)
    origin, copy = story.machines[0], story.machines[number]

    async def tell() -> None:
        await story.start()
        older = origin.disk.copy()
        await story.put(None)
        await asyncio.sleep(STEADY_S)
        copy.crash()
        copy.put_back(older)
        copy.start()
        await story.look(story.machines, None, STEADY_S)
        assert story.is_home()
        await story.put(b"again")
        assert await story.look(story.machines, b"again", 0.1) == set(KEYS)

    story.run(tell())
