"""A node whose disk was replaced by an empty one, in a cut: it says of nothing that it does not exist."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Unavailable
from tests.sim.story import Story

FOR_LONG_S = 60.0


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
