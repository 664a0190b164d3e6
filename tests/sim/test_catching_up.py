"""Co-owners that have missed more than an outbox remembers: they are listed what they missed, not all that there is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gossip.view import Address
from node.net.messages import Offer, Push, Request
from node.node import Node
from node.replication import outbox
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of
from tests.sim.story import STEADY_S, Story

KEYS = [key for key in (b"k%d" % number for number in range(60_000)) if partition_of(key) < 16]
"""Some 200, so that what is missed shares its partitions with the rest."""
MISSED, OTHERS = KEYS[50:90], KEYS[120:150]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "ENTRIES_MAX", 10)


async def put(story: Story, number: int, keys: Sequence[bytes]) -> None:
    for key in keys:
        await story.put(story[number], key)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("are_both_behind", [False, True], ids=["one has missed some", "both have"])
def test_copies_that_have_missed_much_are_listed_what_they_missed(are_both_behind: bool) -> None:
    story = Story(2, members=2, repl_factor=2, seed=2)  # One in which both reach each other at about the same time.
    listed: list[bytes] = []
    brought: list[bytes] = []

    def sent(_: Address, __: Address, request: Request) -> None:
        if isinstance(request, Offer):
            listed.extend(key for key, _ in request.versions)
        if isinstance(request, Push):
            brought.extend(key for key, _ in request.records)

    async def tell() -> None:
        await story.start()
        await put(story, 1, KEYS)
        await asyncio.sleep(STEADY_S)
        story.cluster.cut(story[1].address, story[2].address)
        await asyncio.sleep(STEADY_S)
        await put(story, 1, MISSED)
        if are_both_behind:
            await put(story, 2, OTHERS)
        story.cluster.network.watchers.append(sent)
        story.cluster.heal()
        await asyncio.sleep(STEADY_S)
        assert story[1].disk.items.keys() == story[2].disk.items.keys()
        for key in KEYS:
            one, other = (machine.disk.record(key) for machine in (story[1], story[2]))
            assert one is not None and one == other
        expected = sorted(MISSED + (OTHERS if are_both_behind else []))
        assert sorted(listed) == sorted(brought) == expected

    story.run(tell())


@pytest.mark.usefixtures("small")
def test_copy_that_has_missed_what_was_stamped_long_before_gets_that_too() -> None:
    """A third node has brought it, late. It is not among what is looked at first."""
    story = Story(2, members=2, repl_factor=2)
    late = Record(make_version(1 << 16, 9), b"late", False)

    async def tell() -> None:
        await story.start()
        await put(story, 1, KEYS)
        await asyncio.sleep(STEADY_S)
        story[2].crash()
        await asyncio.sleep(STEADY_S)
        await put(story, 1, MISSED)

        async def bring(node: Node) -> None:
            await node.store.merge(node.views.view_id, [(partition_of(b"late"), b"late", late.encode())])

        await story[1].ask(bring)
        await story.start_only(2)
        assert story[2].disk.record(b"late") == late

    story.run(tell())
