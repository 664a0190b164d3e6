"""Nodes that come home to a cluster which has forgotten deletions: what they bring must not come back to life."""

from __future__ import annotations

import asyncio

from tests.sim.forgetful import GRACE_S, KEY, STEADY_S, Story


def test_removed_node_that_is_taken_in_at_once_brings_no_deleted_key_back() -> None:
    """As an owner it would be believed, whatever has been forgotten since; so the change waits until it is home."""
    story = Story(3, repl_factor=None)

    async def tell() -> None:
        await story.start()
        away = story.owner(KEY)
        others = [machine for machine in story.machines if machine is not away]
        await story.put(KEY, b"old")
        await asyncio.sleep(STEADY_S)
        away.crash()
        await asyncio.sleep(1.0)
        await story.change(*(machine.address for machine in others))
        await story.put(KEY, b"new", others[0])
        await story.put(KEY, None, others[0])
        await story.change(others[0].address)  # Its owners do not wait for it any more.
        await asyncio.sleep(3 * GRACE_S)
        assert story.holders(KEY) == [away]
        away.start()
        while away.node is None or away.node.views.current.nodes != {others[0].address}:
            await asyncio.sleep(0.0005)
        assert away.node.handoff.misplaced()
        await story.change(*(machine.address for machine in story.machines))
        await asyncio.sleep(STEADY_S)
        assert await story.values(KEY) == {None}

    story.run(tell())


def test_node_that_cannot_bring_everything_home_does_not_know_what_was_deleted() -> None:
    """One of the owners cannot be reached from there, so it keeps what it has: longer than the deletion is known."""
    story = Story(3, repl_factor=2)

    async def tell() -> None:
        n1, n2, away = story.machines
        await story.start()
        await story.put(KEY, b"old")
        await asyncio.sleep(STEADY_S)
        away.crash()
        await asyncio.sleep(1.0)
        await story.change(n1.address, n2.address)
        await story.put(KEY, None, n1)
        story.cluster.cut(away.address, n2.address)
        away.start()
        await asyncio.sleep(3 * GRACE_S)
        assert story.holders(KEY) == [away]
        story.cluster.mend(away.address, n2.address)
        await asyncio.sleep(STEADY_S)
        assert await story.values(KEY) == {None} and story.holders(KEY) == []

    story.run(tell())
