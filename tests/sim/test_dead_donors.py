"""Nodes that are removed dead: nobody asks them for ever, and what they have comes home if they return."""

from __future__ import annotations

import asyncio

from gossip.view import Address
from node.net.messages import AskHolding, Fetch, Request
from node.views.change_conditions import Wish
from node.views.coordinator import Settled, ViewChange
from node.views.risk import NO_RISK
from tests.sim.sick_disks import GRACE_S, KEYS, STALL_S, STEADY_S, Story, is_empty


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


def test_dead_node_that_is_removed_leaves_nothing_behind_of_which_there_is_another_copy() -> None:
    story = Story(3, members=3, repl_factor=2)
    n1, n2, n3 = story.machines

    async def settled(made: ViewChange) -> Settled:
        return await n1.ask(lambda node: node.coordinator.await_settled(made), 60.0)

    async def tell() -> None:
        await story.start()
        await asyncio.sleep(STEADY_S)
        n3.crash()
        wish = Wish(frozenset([n1.address, n2.address]), if_safe=True)
        made = await n1.ask(lambda node: node.coordinator.change(wish), 60.0)
        joined = await n1.ask(lambda node: node.coordinator.change(wish), 60.0)
        for one in (made, joined):
            assert one.risk == (await settled(one)).risk == NO_RISK

    story.run(tell())


def test_dead_node_that_had_yet_to_hand_over_when_it_was_removed_is_told_of_with_the_outcome() -> None:
    """It was up, so there was nothing to refuse; and a change does not wait for it. Started again, it brings all."""
    story = Story(2, members=2)
    n1, n2 = story.machines
    wish = Wish(frozenset([n1.address]), if_safe=True)

    async def settled(made: ViewChange) -> Settled:
        return await n1.ask(lambda node: node.coordinator.await_settled(made), 60.0)

    async def tell() -> None:
        await story.start()
        await asyncio.sleep(STEADY_S)
        made = await n1.ask(lambda node: node.coordinator.change(wish), 60.0)
        n2.crash()
        told = (await settled(made)).risk
        assert made.risk == NO_RISK and told.nodes == (n2.address,)
        assert told.keys is not None and told.keys >= (await story.values(n1)).count(None) > 0
        joined = await n1.ask(lambda node: node.coordinator.change(wish), 60.0)
        assert joined.view is made.view and (await settled(joined)).risk == told, "who joins it is told the same"
        n2.start()
        await asyncio.sleep(STEADY_S)
        assert (await settled(made)).risk == (await settled(joined)).risk == NO_RISK
        await story.all_is_there(n1)
        assert is_empty(n2)

    story.run(tell())
