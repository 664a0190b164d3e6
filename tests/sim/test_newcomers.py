"""A node outside the view, asked for a change: of those that its environment names, it knows what it has heard."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Unavailable
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.story import STEADY_S, Story


def test_newcomer_with_an_emptied_disk_that_has_met_nobody_changes_no_view() -> None:
    """All others are silent. What its environment says of them is long out of force: it would undo what they have
    acknowledged."""
    story = Story(3, members=2)
    n1, n2, n3 = story.machines.values()
    AcknowledgedViews(story.cluster)

    async def tell() -> None:
        await story.start()
        await story.change(n1, [1, 2, 3])
        for machine in (n1, n2):
            machine.freeze()
        n3.crash()
        n3.lose_disk()
        n3.start()
        await asyncio.sleep(STEADY_S)
        with pytest.raises(Unavailable):
            await story.change(n3, [3])
        for machine in (n1, n2):
            machine.thaw()
        await asyncio.sleep(STEADY_S)
        assert {story.nodes_of(machine) for machine in story.machines.values()} == {frozenset(story.machines)}

    story.run(tell())


def test_newcomer_that_reaches_those_it_was_named_makes_a_view_before_any_gossip() -> None:
    """It came up before them, so that asking around at its start found nobody."""
    story = Story(3, members=2)
    n1, n2, n3 = story.machines.values()

    async def is_in_touch() -> bool:
        if None in (n1.node, n2.node, n3.node):
            return False
        statuses = (await n3.ask(lambda node: node.coordinator.progress())).statuses
        return None not in statuses.values()

    async def tell() -> None:
        n3.start()
        while n3.node is None:
            await asyncio.sleep(0.001)
        n1.start()
        n2.start()
        while not await is_in_touch():
            await asyncio.sleep(0.001)
        assert (await story.change(n3, [1, 2, 3])).view.nodes == frozenset(story.machines)

    story.run(tell())
