"""What clients can do while one node of four is cut off, as is told of it: every side writes what it has a copy of."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Unavailable
from node.values.condition import Condition, Versions
from ring.hashing import partition_of
from tests.sim.cluster import Machine
from tests.sim.sick_disks import KEYS, STEADY_S, Story

IF_NONE_MATCH = Condition(none_of=Versions(any=True))
LEFT_OUT_S = 2.0
"""By then the other side is left out."""


async def is_refused(story: Story, via: Machine, key: bytes, condition: Condition | None = None) -> bool:
    try:
        if condition is None:
            await story.values(via, [key])
        else:
            await via.ask(lambda node: node.router.write(key, b"if", None, condition))
    except Unavailable:
        return True
    return False


def test_cut_off_node_and_the_others_write_apart_what_they_share_and_the_newer_write_holds() -> None:
    story = Story(4, members=4, repl_factor=2)
    *near, far = story.machines

    async def tell() -> None:
        await story.start()
        assert far.node is not None
        ring = far.node.views.ring
        shared = [key for key in KEYS if far.address in ring.owners(partition_of(key))]
        others = [key for key in KEYS if key not in shared]
        for machine in near:
            story.cluster.cut(far.address, machine.address)
        await asyncio.sleep(LEFT_OUT_S)
        first, second, *_ = shared
        await story.put(far, first, b"far")
        await asyncio.sleep(0.1)
        await story.put(near[0], first, b"near")
        await story.put(near[0], second, b"near")
        await asyncio.sleep(0.1)
        await story.put(far, second, b"far")
        assert await story.values(far, [first, second]) == [b"far"] * 2
        assert await story.values(near[0], [first, second]) == [b"near"] * 2
        for machine in (far, near[0]):
            assert await is_refused(story, machine, first, IF_NONE_MATCH), "nobody can decide"
        assert await is_refused(story, far, others[0])
        with pytest.raises(Unavailable):
            await story.put(far, others[0], b"2")
        assert await story.values(near[1], [*shared[2:], *others]) == [b"1"] * (len(KEYS) - 2)
        await story.put(near[1], others[0], b"1")
        story.cluster.heal()
        await asyncio.sleep(STEADY_S)
        for machine in story.machines:
            assert await story.values(machine, [first, second]) == [b"near", b"far"]

    story.run(tell())
