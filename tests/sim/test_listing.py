"""Listing keys while nodes come, go and die: whatever is there throughout is listed, and listed once."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Unavailable
from node.node import Node
from node.operations import key_order, listing, shard_inquiry
from node.operations.listing import Page
from tests.sim.cluster import Machine, NoAnswer
from tests.sim.kept_keys import STEADY_S, KeptKeys

KEYS = sorted(b"k%d" % number for number in range(150))


class Story(KeptKeys):
    def __init__(self, seed: int, size: int, members: int, repl_factor: int | None) -> None:
        super().__init__(KEYS, b"1", seed, size, members, repl_factor)
        self.listings = self.refusals = 0
        self.pause_s = 0.0
        """Between two listings."""

    async def page(self, via: Machine, after: bytes, limit: int) -> Page:
        async def ask(node: Node) -> Page:
            return await node.whole_store.lister.page(b"k", after, limit, self.rng.random() < 0.5)

        return await via.ask(ask, 20.0)

    async def list(self) -> list[bytes]:
        """All keys, each page through whoever runs. Raises Unavailable."""
        found: list[bytes] = []
        end: bytes | None = b""
        while end is not None:
            page = await self.page(self.rng.choice(self.running()), end, self.rng.choice([1, 7, 40, 1000]))
            found += [key for key, *_ in page.entries]
            end = page.end
        return found

    async def go_on_listing(self) -> None:
        while not self.is_over:
            try:
                assert await self.list() == KEYS
                self.listings += 1
                await asyncio.sleep(self.pause_s)
            except NoAnswer:
                pass  # Whoever was asked has died.
            except Unavailable:
                self.refusals += 1
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("repl_factor", [None, 2])
@pytest.mark.parametrize("seed", range(1, 5))
def test_listing_while_keys_move_tells_each_key_once(seed: int, repl_factor: int | None) -> None:
    story = Story(seed, 5, 2, repl_factor)

    async def tell() -> None:
        await story.start()
        n1, n2, n3, n4, n5 = story.machines
        lists = [asyncio.ensure_future(story.go_on_listing()) for _ in range(4)]
        await story.change(n1, n2, n3, n4, n5)
        await story.change(n1, n5)
        await story.change(n1, n2, n3)
        story.is_over = True
        await asyncio.gather(*lists)
        assert await story.list() == KEYS
        assert story.listings > 10 and story.refusals == 0

    story.cluster.loop.run(tell())


@pytest.mark.parametrize("seed", [1, 2])
def test_listing_while_nodes_die_tells_each_key_once_or_refuses(seed: int) -> None:
    story = Story(seed, 4, 4, 2)
    story.pause_s = 0.1

    async def tell() -> None:
        await story.start()
        lists = asyncio.ensure_future(story.go_on_listing())
        for machine in story.machines[1:]:
            machine.crash()
            await asyncio.sleep(2.0)
            assert await story.list() == KEYS, "of each key there is a copy"
            machine.start()
            await asyncio.sleep(STEADY_S)
        story.is_over = True
        await lists
        assert story.listings > 10

    story.cluster.loop.run(tell())


def test_listing_page_that_is_full_for_one_owner_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others may have told of keys that come after what that one has left."""
    monkeypatch.setattr(listing, "PAGE_BYTES_MAX", 60)
    story = Story(1, 3, 3, None)

    async def tell() -> None:
        await story.start()
        assert await story.list() == KEYS

    story.cluster.loop.run(tell())


@pytest.mark.parametrize("seed", range(1, 5))
def test_listing_while_donors_take_their_time_tells_each_key_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view changes while they look into their stores, and they hand over to others than who has asked."""
    monkeypatch.setattr(key_order, "READS_A_TURN", 1)
    monkeypatch.setattr(shard_inquiry, "PAUSE_S", 0.0003)
    story = Story(seed, 5, 3, None)

    async def tell() -> None:
        await story.start()
        n1, n2, n3, n4, n5 = story.machines
        lists = [asyncio.ensure_future(story.go_on_listing()) for _ in range(4)]
        for nodes in ([n1, n4], [n1, n5, n2], [n1, n3], [n1, n4, n5], [n1, n2, n3]):
            await story.change(*nodes)
        story.is_over = True
        await asyncio.gather(*lists)
        assert story.listings > 0

    story.cluster.loop.run(tell())


def test_listing_names_who_is_missing() -> None:
    story = Story(1, 3, 3, None)

    async def tell() -> None:
        await story.start()
        story.machines[2].crash()
        await asyncio.sleep(2.0)
        with pytest.raises(Unavailable) as refusal:
            await story.page(story.machines[0], b"", 10)
        assert refusal.value.details == {"unreachable": [story.machines[2].address]}

    story.cluster.loop.run(tell())


def test_listing_waits_for_what_a_member_has_yet_to_bring() -> None:
    """It is the donor of keys that are on nobody else's disk."""
    story = Story(1, 3, 2, None)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.cluster.cut(n2.address, n3.address)
        changing = asyncio.ensure_future(story.change(n1, n2, n3))
        await asyncio.sleep(STEADY_S)
        with pytest.raises(Unavailable) as refusal:
            await story.page(n1, b"", 1000)
        assert refusal.value.details == {"unreachable": [n2.address]}
        story.cluster.heal()
        await changing
        assert await story.list() == KEYS

    story.cluster.loop.run(tell())
