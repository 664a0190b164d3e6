"""Keys on the move survive the loss of disks, as many as the factor allows for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from gossip.view import Address, View
from node.errors import Unavailable
from node.net.messages import Compare, Push, ReadResult, Replicate, Request
from node.node import Node
from node.repair import transfer
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.peace import read
from tests.sim.steps import Snare, Step

STEADY_S = 5.0
KEYS = [b"k%d" % number for number in range(30)]


class Story:
    def __init__(self, size: int, members: int, repl_factor: int) -> None:
        self.cluster = Cluster(1, size, members, repl_factor=repl_factor)
        self.machines = list(self.cluster.machines.values())

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)
        for key in KEYS:
            await self.machines[0].ask(lambda node, key=key: node.router.write(key, b"1"))  # type: ignore[misc]

    async def value(self, via: Machine, key: bytes) -> bytes | None:
        answer = (await via.ask(lambda node: read(node, key))).answer
        assert isinstance(answer, ReadResult)
        return answer.value


def test_sources_keep_their_copies_until_the_factor_is_met() -> None:
    """One of two new owners is down while the other one gets everything, and then loses its disk."""
    story = Story(4, members=2, repl_factor=2)
    n1, n2, n3, n4 = story.machines

    def kill(machine: Machine, view: View) -> None:
        if machine is n4 and view.epoch == 1 and n4.host is not None:
            story.cluster.loop.call_soon(n4.crash, context=story.cluster.loop.nobody)

    async def tell() -> None:
        await story.start()
        story.cluster.view_watchers.append(kill)
        with suppress(NoAnswer):
            await n1.ask(lambda node: change(node, ["n3:1", "n4:1"]), STEADY_S)
        story.cluster.view_watchers.remove(kill)
        await asyncio.sleep(STEADY_S)
        assert {key for key, _ in n1.disk.records()} == {key for key, _ in n2.disk.records()} == set(KEYS)
        n3.crash()
        n3.lose_disk()
        n3.start()
        n4.start()
        await asyncio.sleep(2 * STEADY_S)
        assert {await story.value(n1, key) for key in KEYS} == {b"1"}
        assert all({key for key, _ in owner.disk.records()} == set(KEYS) for owner in (n3, n4))
        assert not list(n1.disk.records()) and not list(n2.disk.records())

    story.run(tell())


def test_change_is_answered_though_one_new_owner_is_down_and_the_next_one_takes_its_place() -> None:
    story = Story(5, members=2, repl_factor=2)
    n1, n2, _, n4, _ = story.machines

    def kill(machine: Machine, view: View) -> None:
        if machine is n4 and view.epoch == 1 and n4.host is not None:
            story.cluster.loop.call_soon(n4.crash, context=story.cluster.loop.nobody)

    async def tell() -> None:
        await story.start()
        story.cluster.view_watchers.append(kill)
        settled = await n1.ask(lambda node: change(node, ["n3:1", "n4:1"]), 2 * STEADY_S)
        assert settled.key_counts["n3:1"] == len(KEYS)
        settled = await n1.ask(lambda node: change(node, ["n3:1", "n5:1"]), 2 * STEADY_S)
        assert settled.key_counts["n5:1"] == len(KEYS)
        await asyncio.sleep(STEADY_S)
        assert not list(n1.disk.records()) and not list(n2.disk.records())

    story.run(tell())


@pytest.mark.parametrize("returns", [False, True], ids=["an emptied copy is away", "an emptied copy is back"])
def test_emptied_copy_outside_the_view_is_not_taken_for_a_full_one(returns: bool) -> None:
    """The only holder, in the view, is paused before it has brought its new co-owner anything: nobody can tell."""
    story = Story(3, members=2, repl_factor=2)
    n1, n2, n3 = story.machines

    def sent(sender: Address, to: Address, request: Request) -> None:
        if sender == n2.address and to == n3.address and isinstance(request, Compare) and n2.runs:
            n2.freeze()

    async def tell() -> None:
        await story.start()
        n1.crash()
        n1.lose_disk()
        await asyncio.sleep(STEADY_S)
        story.cluster.network.watchers.append(sent)
        with suppress(NoAnswer):
            await n3.ask(lambda node: change(node, ["n2:1", "n3:1"]), STEADY_S)
        story.cluster.network.watchers.remove(sent)
        if returns:
            n1.start()
            await asyncio.sleep(STEADY_S)
        for work in (
            lambda node: read(node, KEYS[0]),
            lambda node: node.router.write(KEYS[1], None),
            lambda node: node.router.write(KEYS[2], b"2"),
        ):
            with pytest.raises(Unavailable):
                await n3.ask(work)
        n2.thaw()
        await asyncio.sleep(2 * STEADY_S)
        assert {await story.value(n3, key) for key in KEYS} == {b"1"}
        for machine in (n2, n3):
            assert machine.node is not None and machine.node.handoff.is_settled()

    story.run(tell())


def test_answer_of_an_emptied_copy_is_not_taken_for_that_of_a_full_one() -> None:
    """It is back just as the only holder, in the view, is paused, and has not been asked yet what it holds."""
    story = Story(3, members=2, repl_factor=2)
    n1, n2, n3 = story.machines
    stored = asyncio.Event()

    def change_places() -> None:
        n2.freeze()
        story.cluster.loop.call_soon(n1.start, context=story.cluster.loop.nobody)
        stored.set()

    async def look(after_s: float) -> bytes | None:
        await asyncio.sleep(after_s)
        return await story.value(n3, KEYS[0])

    async def tell() -> None:
        await story.start()
        n1.crash()
        n1.lose_disk()
        await asyncio.sleep(STEADY_S)
        Snare(story.cluster, n3, Step.STORED, change_places)
        asked = asyncio.create_task(n3.ask(lambda node: change(node, ["n2:1", "n3:1"]), 2 * STEADY_S))
        await stored.wait()
        seen = await asyncio.gather(*(look(0.02 * number) for number in range(20)), return_exceptions=True)
        assert all(isinstance(value, Unavailable) for value in seen)
        n2.thaw()
        await asked
        assert await story.value(n3, KEYS[0]) == b"1"

    story.run(tell())


def test_emptied_only_copy_keeps_nobody_waiting() -> None:
    """What it lost is lost: with one copy of each key, nobody else has it."""
    story = Story(2, members=1, repl_factor=1)
    n1, n2 = story.machines

    def sent(sender: Address, to: Address, request: Request) -> None:
        if sender == n1.address and isinstance(request, Push) and n1.runs:
            story.cluster.loop.call_soon(n1.crash, context=story.cluster.loop.nobody)

    async def tell() -> None:
        await story.start()
        story.cluster.network.watchers.append(sent)
        with suppress(NoAnswer):
            await n2.ask(lambda node: change(node, ["n2:1"]), STEADY_S)
        story.cluster.network.watchers.remove(sent)
        if n1.host is not None:
            n1.crash()
        n1.lose_disk()
        n1.start()
        await asyncio.sleep(STEADY_S)
        assert await story.value(n2, b"never written") is None
        assert n2.node is not None and n2.node.handoff.is_settled()

    story.run(tell())


@pytest.mark.parametrize("repl_factor", [1, 2])
def test_records_cross_the_wire_once_for_each_copy_that_is_to_be_made(
    monkeypatch: pytest.MonkeyPatch, repl_factor: int
) -> None:
    """Every copy of a moving partition is a donor, and every new owner passes on what it is brought: yet nobody brings
    what another one has brought. But what is on its way while the new owners first compare may come twice."""
    monkeypatch.setattr(transfer, "CHUNK_RECORDS", 8)
    at_first = 64
    story = Story(3 * repl_factor, members=2 * repl_factor, repl_factor=repl_factor)
    keys = [b"key%d" % number for number in range(3000)]
    newcomers = {machine.address for machine in story.machines[2 * repl_factor :]}
    brought: Counter[bytes] = Counter()

    def sent(sender: Address, to: Address, request: Request) -> None:
        if to in newcomers and isinstance(request, Push | Replicate):
            brought.update(key for key, _ in request.records)

    async def write(node: Node, some: list[bytes]) -> None:
        await asyncio.gather(*(node.router.write(key, b"1") for key in some))

    async def tell() -> None:
        await story.start()
        for start in range(0, len(keys), 100):
            await story.machines[0].ask(lambda node, start=start: write(node, keys[start : start + 100]))  # type: ignore[misc]
        story.cluster.network.watchers.append(sent)
        everybody = [machine.address for machine in story.machines]
        await story.machines[0].ask(lambda node: change(node, everybody), 10 * STEADY_S)
        held = [
            {key for key, _ in machine.disk.records()} for machine in story.machines if machine.address in newcomers
        ]
        must = sum(map(len, held))
        assert must == repl_factor * len(held[0]) > repl_factor * len(keys) / 4
        assert must <= brought.total() <= 1.02 * must + at_first


def test_earlier_owner_that_was_silent_while_the_view_was_made_is_asked() -> None:
    """It was paused, and is back before the new view is in force. Until it is heard of, it is passed over as any node
    that was removed while it was down."""
    story = Story(4, members=3, repl_factor=1)
    n1, _, _, n4 = story.machines

    def thaw() -> None:
        story.cluster.loop.call_soon(n1.thaw, context=story.cluster.loop.nobody)

    async def tell() -> None:
        await story.start()
        n1.freeze()
        snare = Snare(story.cluster, n4, Step.PROMISED, thaw)
        asked = asyncio.create_task(n4.ask(lambda node: change(node, ["n2:1", "n3:1", "n4:1"]), 2 * STEADY_S))
        while n4.node is None or n4.node.views.current.epoch == 0 or n4.node.calls.is_down(n1.address):
            await asyncio.sleep(0.001)
        assert {await story.value(n4, key) for key in KEYS} == {b"1"}
        snare.remove()
        assert sum((await asked).key_counts.values()) == len(KEYS)

    story.run(tell())


@pytest.mark.parametrize("later_s", [0.0, 0.03, 0.06])
def test_earlier_owner_that_has_just_come_up_is_asked_by_one_that_has_found_it_down(later_s: float) -> None:
    """It does not know of the new owner, so it has not dialled it; and it is dialled again only now and then."""
    story = Story(3, members=1, repl_factor=1)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.crash()
        n1.config = replace(n1.config, view=("n1:1", "n2:1"))
        while n2.node is None or n3.node is None or not n3.node.calls.is_down(n1.address):
            with suppress(Unavailable):
                await story.value(n3, KEYS[0])
        await asyncio.sleep(later_s)
        n1.start()
        while n1.node is None or not n1.node.readiness.is_ready:
            await asyncio.sleep(0.001)
        asked = asyncio.create_task(n2.ask(lambda node: change(node, ["n3:1"]), STEADY_S))
        while n3.node.views.current.epoch == 0:
            await asyncio.sleep(0.0001)
        assert {await story.value(n3, key) for key in KEYS} == {b"1"}
        assert sum((await asked).key_counts.values()) == len(KEYS)

    story.run(tell())


def test_what_a_dead_owner_was_still_to_get_is_asked_of_those_who_have_it() -> None:
    """It was killed before anything was brought to it, and replaced."""
    story = Story(3, members=1, repl_factor=1)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        snare = Snare(story.cluster, n1, Step.STORED, n3.crash)
        with suppress(NoAnswer):
            await n1.ask(lambda node: change(node, ["n1:1", "n3:1"]), STEADY_S)
        snare.remove()
        asked = asyncio.create_task(n2.ask(lambda node: change(node, ["n1:1", "n2:1"]), 2 * STEADY_S))
        while n2.node is None or n2.node.views.current.epoch < 2:
            await asyncio.sleep(0.001)
        assert {await story.value(n2, key) for key in KEYS} == {b"1"}
        assert sum((await asked).key_counts.values()) == len(KEYS)

    story.run(tell())


def test_change_waits_for_an_owner_that_is_down_and_still_in_the_view() -> None:
    """It has what the new owner has yet to hear of."""
    story = Story(2, members=1, repl_factor=1)
    n1, n2 = story.machines

    def kill() -> None:
        story.cluster.loop.call_soon(n1.crash, context=story.cluster.loop.nobody)

    async def tell() -> None:
        await story.start()
        Snare(story.cluster, n2, Step.ADOPTED, kill)
        with pytest.raises(NoAnswer):
            await n2.ask(lambda node: change(node, ["n1:1", "n2:1"]), STEADY_S)
        n1.start()
        await asyncio.sleep(STEADY_S)
        assert n2.node is not None and n2.node.handoff.is_settled()
        assert {await story.value(n2, key) for key in KEYS} == {b"1"}

    story.run(tell())
