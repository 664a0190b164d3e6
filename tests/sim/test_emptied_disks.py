"""A node whose disk was replaced by an empty one, in a cut or as a donor: it says of nothing that it does not exist."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gossip.view import Address
from node.errors import Unavailable
from node.net.messages import Compare, Request
from node.views.rules import ring_of
from ring.hashing import partition_of
from tests.sim.changing import change
from tests.sim.cluster import NoAnswer
from tests.sim.peace import read
from tests.sim.story import STEADY_S, Story

FOR_LONG_S = 60.0
KEYS = [b"k%d" % number for number in range(10)]


def test_emptied_disk_in_a_cut_is_unavailable_until_it_is_filled() -> None:
    story = Story(2, members=2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(story[1], b"k")
        story[1].crash()
        story[1].lose_disk()
        story[2].crash()
        await story.start_only(1)
        await asyncio.sleep(FOR_LONG_S)
        for key in (b"k", b"never written"):
            with pytest.raises(Unavailable):
                await story.values(story[1], [key])
            with pytest.raises(Unavailable):
                await story.put(story[1], key)
        await story.start_only(2)
        assert await story.values(story[1], [b"k", b"never written"]) == [b"1", None]

    story.run(tell())


def test_emptied_disk_without_co_owners_in_the_view_waits_for_nobody() -> None:
    """The operator has said by that that there is nothing to wait for."""
    story = Story(2, members=2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        story[1].crash()
        story[1].lose_disk()
        story[2].crash()
        await story.start_only(1)
        await story.change(story[1], [1], factor=1)
        assert await story.values(story[1], [b"k"]) == [None]
        await story.put(story[1], b"k")

    story.run(tell())


def test_new_store_knows_that_it_is_new_though_it_is_started_again_at_once_and_alone() -> None:
    """All have found that nobody has anything: whoever was there for that lacks nothing, in its next life too."""
    story = Story(2, members=2, repl_factor=2)

    async def tell() -> None:
        for number in (1, 2):
            story[number].start()
        await asyncio.sleep(0.5)
        story[1].crash()
        story[2].crash()
        await story.start_only(1)
        assert await story.values(story[1], [b"k"]) == [None]
        await story.put(story[1], b"k")
        story[1].crash()
        await story.start_only(1, 2)
        assert await story.values(story[2], [b"k"]) == [b"1"]

    story.run(tell())


def test_new_store_with_a_node_that_has_not_come_yet_is_waited_for_only_so_long() -> None:
    story = Story(3, members=3, repl_factor=3)

    async def tell() -> None:
        await story.start_only(1, 2)
        assert await story.values(story[1], [b"k"]) == [None]
        await story.put(story[2], b"k")
        await story.start_only(3)
        assert await story.values(story[3], [b"k"]) == [b"1"]

    story.run(tell())


def test_emptied_copy_is_not_taken_for_a_full_one_by_new_owners_that_lack_nothing() -> None:
    """Two shards become one. Of the copies of the first, one is emptied and removed, and the other, which stays, is
    paused before it has brought the owners of the second anything."""
    story = Story(4, members=4, repl_factor=2)
    emptied = story[1]

    async def tell() -> None:
        await story.start()
        for key in KEYS:
            await story.put(emptied, key)
        assert emptied.node is not None
        view = emptied.node.views.current
        (full,) = (story.machines[node] for node in ring_of(view).co_owners(emptied.address))
        others = [machine for machine in story.machines.values() if machine not in (emptied, full)]
        key = next(key for key in KEYS if emptied.address in ring_of(view).owners(partition_of(key)))

        def sent(sender: Address, to: Address, request: Request) -> None:
            if sender == full.address and isinstance(request, Compare) and full.runs:
                full.freeze()

        emptied.crash()
        emptied.lose_disk()
        await asyncio.sleep(STEADY_S)
        story.cluster.network.watchers.append(sent)
        with suppress(NoAnswer):
            await others[0].ask(lambda node: change(node, view.nodes - {emptied.address}), STEADY_S)
        story.cluster.network.watchers.remove(sent)
        emptied.start()
        await asyncio.sleep(STEADY_S)
        for machine in others:
            with pytest.raises(Unavailable):
                await machine.ask(lambda node: read(node, key))
        full.thaw()
        await asyncio.sleep(2 * STEADY_S)
        assert await story.values(others[0], [key]) == [b"1"]

    story.run(tell())
