"""A disk that is full, or hangs, costs its own node: reads go on, and it can be relieved, replaced, removed, and taken
back in the middle of a move, with nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import pytest

from gossip.view import Address
from node.errors import Conflict, Unavailable
from node.net.messages import AskHolding, Fetch, Push, ReadResult, Request
from node.views.coordinator import Settled
from tests.sim.cluster import Cluster, Machine
from tests.sim.nemesis import change
from tests.sim.peace import read

STEADY_S = 5.0
STALL_S = 16.0
"""A little longer than what makes a change one that does not get on."""
GRACE_S = 60.0
KEYS = [b"k%d" % number for number in range(60)]


class Story:
    """`members` of `size` machines hold the keys, each with its own number as its value."""

    def __init__(
        self,
        size: int,
        members: int,
        repl_factor: int | None = None,
        timing: Mapping[str, float] | None = None,
    ) -> None:
        self.cluster = Cluster(1, size, members, repl_factor=repl_factor, timing=timing)
        self.machines = list(self.cluster.machines.values())

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)
        for key in KEYS:
            await self.put(self.machines[0], key)

    async def put(self, via: Machine, key: bytes, value: bytes = b"1") -> None:
        await via.ask(lambda node: node.router.write(key, value))

    async def change(self, via: Machine, *nodes: Machine, patience_s: float = 60.0) -> Settled:
        addresses = [node.address for node in nodes]
        return await via.ask(lambda node: change(node, addresses), patience_s)

    def begin(self, via: Machine, *nodes: Machine) -> asyncio.Task[Settled]:
        return asyncio.ensure_future(self.change(via, *nodes, patience_s=1000.0))

    async def values(self, via: Machine, keys: Sequence[bytes] = KEYS) -> list[bytes | None]:
        found = []
        for key in keys:
            answer = (await via.ask(lambda node, key=key: read(node, key))).answer  # type: ignore[misc]
            assert isinstance(answer, ReadResult)
            found.append(answer.value)
        return found

    async def all_is_there(self, *via: Machine) -> None:
        for machine in via:
            assert await self.values(machine) == [b"1"] * len(KEYS)

    def when_pushed(self, to: Machine, strike: str, records: int = 1) -> None:
        """As soon as the first records are on their way to it, its disk is `strike`."""

        def sent(_: Address, receiver: Address, request: Request) -> None:
            if receiver == to.address and isinstance(request, Push) and len(request.records) >= records:
                setattr(to.disk, strike, True)

        self.cluster.network.watchers.append(sent)
        self._sent = sent

    def unwatch(self) -> None:
        self.cluster.network.watchers.remove(self._sent)


def is_empty(machine: Machine) -> bool:
    return not list(machine.disk.records())


def test_newcomer_that_fills_up_in_the_middle_of_a_move_is_taken_out_again_at_once() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, "full")
        first = story.begin(n1, n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        assert n3.disk.full and not first.done()
        story.unwatch()
        await story.all_is_there(n1, n2, n3)
        settled = await story.change(n2, n1, n2)
        assert sum(settled.key_counts.values()) == len(KEYS)
        assert is_empty(n3)
        await story.all_is_there(n1, n2, n3)
        with pytest.raises(Conflict):
            await first

    story.run(tell())


def test_newcomer_without_room_is_named_and_takes_the_rest_once_it_has_room() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, "full")
        with pytest.raises(Unavailable) as refusal:
            await story.change(n1, n1, n2, n3)
        assert refusal.value.details == {"full": [n3.address]}
        story.unwatch()
        n3.disk.mend()
        settled = await story.change(n1, n1, n2, n3)
        assert sum(settled.key_counts.values()) == len(KEYS)
        await story.all_is_there(n1, n3)

    story.run(tell())


def test_full_member_is_relieved_by_growing() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        settled = await story.change(n2, n1, n2, n3)
        assert settled.key_counts[n3.address]
        await story.all_is_there(n1, n2, n3)

    story.run(tell())


@pytest.mark.parametrize("repl_factor", [None, 2])
def test_full_member_is_replaced(repl_factor: int | None) -> None:
    story = Story(3, members=2, repl_factor=repl_factor)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        moving = story.begin(n2, n2, n3)
        while not moving.done():
            await story.all_is_there(n2)
            await asyncio.sleep(0.1)
        await moving
        await story.all_is_there(n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        assert is_empty(n1)

    story.run(tell())


def test_full_member_that_should_take_more_is_named_and_can_be_removed_instead() -> None:
    """By the one whose records it could not take, which comes in again with what it has kept."""
    story = Story(2, members=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        with pytest.raises(Unavailable) as refusal:
            await story.change(n2, n1)
        assert refusal.value.details == {"full": [n1.address]}
        await story.all_is_there(n1, n2)
        settled = await story.change(n2, n2)
        assert settled.key_counts[n2.address] == len(KEYS)
        await story.all_is_there(n1, n2)
        assert is_empty(n1)

    story.run(tell())


def test_full_new_owner_does_not_keep_the_other_one_waiting() -> None:
    story = Story(4, members=2, repl_factor=2)
    n1, n2, n3, n4 = story.machines

    async def tell() -> None:
        await story.start()
        n3.disk.full = True
        moving = story.begin(n1, n3, n4)
        await asyncio.sleep(STEADY_S)
        assert {key for key, _ in n4.disk.records()} == set(KEYS) and not moving.done()
        await story.all_is_there(n3, n4)
        await story.change(n1, n1, n4)
        await story.all_is_there(n1, n2, n4)
        assert is_empty(n3)
        with pytest.raises(Conflict):
            await moving

    story.run(tell())


def test_newcomer_whose_disk_hangs_is_taken_out_again_once_nothing_has_moved_for_long() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, "hung")
        first = story.begin(n1, n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        assert n3.disk.hung
        with pytest.raises(Conflict):
            await story.change(n2, n1, n2)
        await asyncio.sleep(STALL_S)
        second = story.begin(n2, n1, n2)
        await asyncio.sleep(STEADY_S)
        for machine in (n1, n2):
            assert machine.node is not None and machine.node.views.current.nodes == {n1.address, n2.address}
        story.unwatch()
        n3.disk.mend()
        settled = await second
        assert sum(settled.key_counts.values()) == len(KEYS)
        assert is_empty(n3)
        await story.all_is_there(n1, n2, n3)
        with pytest.raises(Conflict):
            await first

    story.run(tell())


@pytest.mark.parametrize("trouble", ["hung", "exhausted", "full"])
def test_member_whose_disk_takes_nothing_is_replaced_while_there_is_another_copy(trouble: str) -> None:
    story = Story(3, members=2, repl_factor=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        setattr(n1.disk, trouble, True)
        settled = await story.change(n2, n2, n3)
        assert settled.key_counts[n3.address] == len(KEYS)
        await story.all_is_there(n2, n3)
        await story.put(n3, b"more", b"2")
        assert await story.values(n2, [b"more"]) == [b"2"]
        n1.disk.mend()
        await asyncio.sleep(STEADY_S)
        assert is_empty(n1)
        await story.all_is_there(n1, n2, n3)

    story.run(tell())


def test_full_node_that_is_restarted_serves_reads_and_is_removed() -> None:
    story = Story(2, members=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        n1.crash()
        n1.start()
        await asyncio.sleep(STEADY_S)
        await story.all_is_there(n1, n2)
        settled = await story.change(n1, n2)
        assert settled.key_counts[n2.address] == len(KEYS)
        assert is_empty(n1)
        await story.all_is_there(n1, n2)

    story.run(tell())


def test_full_store_is_relieved_by_deletions() -> None:
    """Of what is held: they take no more room than what they replace, on every copy."""
    story = Story(2, members=2, repl_factor=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        for machine in (n1, n2):
            machine.disk.full = True
        with pytest.raises(Unavailable):
            await story.put(n1, KEYS[0], b"2")
        await n1.ask(lambda node: node.router.write(KEYS[0], None))
        assert await story.values(n2, KEYS[:2]) == [None, b"1"]

    story.run(tell())


# Removed nodes that are dead


def test_dead_removed_node_is_asked_no_more_and_brings_home_what_it_has_if_it_returns() -> None:
    story = Story(3, members=2, repl_factor=2)
    n1, n2, n3 = story.machines
    asked: list[Address] = []

    def sent(_: Address, receiver: Address, request: Request) -> None:
        if isinstance(request, Fetch | AskHolding):
            asked.append(receiver)

    async def tell() -> None:
        await story.start()
        n2.crash()
        await story.put(n1, b"unshared", b"mine")
        n1.crash()
        n2.start()
        await asyncio.sleep(STEADY_S)
        settled = await story.change(n2, n2, n3)
        assert settled.key_counts[n3.address] == len(KEYS)
        await asyncio.sleep(STALL_S)
        story.cluster.network.watchers.append(sent)
        await story.all_is_there(n2, n3)
        assert not asked
        for machine in (n2, n3):
            assert machine.node is not None
            assert all(machine.node.owner.read_here(key) is not None for key in KEYS), "they answer alone"
        assert await story.values(n3, [b"unshared"]) == [None]
        await story.put(n3, KEYS[0], b"later")
        await n3.ask(lambda node: node.router.write(KEYS[1], None))
        n1.start()
        await asyncio.sleep(STEADY_S)
        assert await story.values(n3, [b"unshared", *KEYS[:3]]) == [b"mine", b"later", None, b"1"]
        assert await story.values(n2, [b"unshared", *KEYS[:3]]) == [b"mine", b"later", None, b"1"]
        assert is_empty(n1)

    story.run(tell())


def test_dead_removed_node_is_waited_for_while_nobody_else_has_told_what_it_has() -> None:
    """Its keys were on it alone: whoever reads them must hear it when it returns."""
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.crash()
        await story.change(n2, n2, n3)
        await asyncio.sleep(STALL_S)
        assert n3.node is not None and n1.address in n3.node.views.donors.shares
        n1.start()
        await asyncio.sleep(STEADY_S)
        await story.all_is_there(n1, n2, n3)

    story.run(tell())


def test_dead_removed_node_is_dropped_after_the_grace_whatever_it_had() -> None:
    story = Story(3, members=2, timing={"tombstone_grace_s": GRACE_S})
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.crash()
        await story.change(n2, n2, n3)
        assert n3.node is not None
        await asyncio.sleep(GRACE_S - STALL_S)
        assert n1.address in n3.node.views.donors.shares
        await asyncio.sleep(2 * STALL_S)
        assert not n3.node.views.donors.shares

    story.run(tell())
