"""What a context demands is demanded after a change of view too: of those who have yet to bring what they had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from node.errors import RequestFault, Unavailable
from node.net.messages import ReadResult, Unsatisfied
from node.node import Node
from node.operations.router import Outcome
from node.values.context import EMPTY, Context, owner_id
from tests.sim.cluster import Machine, NoAnswer
from tests.sim.peace import heal
from tests.sim.steps import Snare, Step
from tests.sim.story import Story

KEY = b"k"
CUT_S = 3.0
"""Longer than any silence, and a donor that is silent is not dropped in that time."""


async def read(asked: Machine, context: Context) -> bytes | Exception | None:
    """What is read, or why it is not."""

    async def ask(node: Node) -> Outcome:
        return await node.router.read(KEY, context)

    try:
        answer = (await asked.ask(ask)).answer
    except (Unavailable, NoAnswer) as fault:
        return fault
    if isinstance(answer, Unsatisfied):
        return NoAnswer("unsatisfied")
    assert isinstance(answer, ReadResult)
    return answer.value


@pytest.mark.parametrize("is_folded", [False, True], ids=["a key", "an owner"])
@pytest.mark.parametrize("nodes", [(2, 3), (1, 2, 3, 4)], ids=["removed", "stays"])
def test_context_of_what_only_a_donor_has_is_kept_while_it_is_cut_off(nodes: Sequence[int], is_folded: bool) -> None:
    """The other copy was cut off when it was written, and has something older. All new owners hear that one only."""
    story = Story(4, members=2, repl_factor=2)
    n1, n2, n3 = story[1], story[2], story[3]

    def cut_off() -> None:
        for other in (2, 3, 4):
            story.cluster.cut(n1.address, story[other].address)

    async def write(value: bytes) -> Context:
        outcome = await n1.ask(lambda node: node.router.write(KEY, value, EMPTY))
        assert outcome.context is not None
        return outcome.context

    async def tell() -> None:
        await story.start()
        await write(b"old")
        story.cluster.cut(n1.address, n2.address)
        await asyncio.sleep(1.0)
        context = await write(b"new")
        assert context.entries
        if is_folded:
            context = Context({}, {owner_id(n1.address): context.newest})
        adopted = asyncio.Event()

        def spring() -> None:
            cut_off()
            adopted.set()

        Snare(story.cluster, n3, Step.ADOPTED, spring)
        changing = asyncio.create_task(story.change(n3, nodes))
        await adopted.wait()
        seen = set()
        ends_at = story.cluster.loop.now + CUT_S
        while story.cluster.loop.now < ends_at:
            for machine in (n2, n3, story[4]):
                value = await read(machine, context)
                seen |= set() if isinstance(value, Exception) else {value}
            await asyncio.sleep(0.05)
        assert seen <= {b"new"}
        heal(story.cluster)
        with suppress(RequestFault, NoAnswer):
            await changing
        await asyncio.sleep(5.0)
        assert {await read(machine, context) for machine in story.machines.values()} == {b"new"}

    story.run(tell())
