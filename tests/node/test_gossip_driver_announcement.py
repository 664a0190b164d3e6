"""What gossip wants is done, and it is told once a round what this node says of itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gossip.core import Gossip
from gossip.messages import Delta, MemberRecord
from gossip.settings import Settings
from gossip.view import ViewId
from node.gossip_driver import Announcement, GossipDriver
from node.net.messages import FetchView, ViewIs
from node.storage.identity import BEHIND
from node.storage.keys import Setting
from tests.node.fakes.peers import THEIR_ID
from tests.node.parts import STORE_ID, A, B, C, Parts, node_a, on_virtual_time
from tests.node.samples import successor

ROUNDS, WATERMARK = 8, 10
ANNOUNCED = Announcement(settled_epoch=3, key_count=7, settled_digest=9, stable=5, forgettable=4)
THEIRS = MemberRecord(B, incarnation=1, version=1, store_id=THEIR_ID, settled_epoch=0, key_count=0)


class Bench:
    """The driver of node A."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        self.parts = parts
        self.announcements = 0
        self.settings = Settings()
        self.gossip = Gossip(A, STORE_ID, 1, self.settings, parts.time.monotonic())
        self.driver = GossipDriver(
            self.gossip,
            self.settings,
            parts.time,
            random.Random(1),
            parts.clock,
            parts.store,
            parts.views,
            parts.calls,
            parts.peers,
            self._renew_announcement,
            parts.co_owners.note_behind,
            tasks,
        )
        self.driver.change_view()

    def _renew_announcement(self) -> Announcement:
        self.announcements += 1
        return ANNOUNCED

    def hear(self, view_id: ViewId, *records: MemberRecord) -> None:
        self.driver.hear(B, Delta(view_id, THEIRS, (), records, ()))


@asynccontextmanager
async def driver_of_a() -> AsyncIterator[Bench]:
    """At its end, what was begun is done."""
    parts = await node_a(A, B, repl_factor=2)
    await parts.store.submit(lambda transaction: transaction.raise_low_watermark(WATERMARK))
    async with asyncio.TaskGroup() as tasks:
        yield Bench(parts, tasks)


@on_virtual_time
async def test_gossip_driver_asks_once_a_round_what_this_node_says() -> None:
    async with driver_of_a() as bench:
        async with bench.driver.rounds():
            await asyncio.sleep(ROUNDS * bench.settings.interval_s)
        assert ROUNDS * 0.8 - 1 <= bench.announcements <= ROUNDS * 1.2 + 1
        assert bench.gossip.record.settled_epoch == 3 and bench.gossip.record.key_count == 7
        assert bench.gossip.record.settled_digest == 9
        assert (bench.gossip.record.stable, bench.gossip.record.forgettable) == (5, 4)


@on_virtual_time
async def test_gossip_driver_fetches_a_later_view_from_who_has_it() -> None:
    async with driver_of_a() as bench:
        later = successor(bench.parts.views.current, A, B, C)
        bench.parts.peers.script[B] = lambda _: ViewIs(later.encoded)
        bench.hear(later.id)
    assert bench.parts.asked(FetchView) == [(B, FetchView())]
    assert bench.parts.views.current == later


@on_virtual_time
async def test_gossip_driver_stores_the_incarnation_that_it_had_to_go_above() -> None:
    async with driver_of_a() as bench:
        own = MemberRecord(A, incarnation=5, version=1, store_id=STORE_ID, settled_epoch=0, key_count=0)
        bench.hear(bench.parts.views.view_id, own)
    assert bench.parts.store.setting(Setting.INCARNATION) == (6).to_bytes(8)


@pytest.mark.parametrize(
    ("store_id", "stable", "is_older"),
    [(THEIR_ID, WATERMARK + 1, True), (THEIR_ID, WATERMARK, False), (STORE_ID, WATERMARK + 1, False)],
    ids=["not on this disk", "on this disk", "this process"],
)
@on_virtual_time
async def test_gossip_driver_knows_a_disk_that_is_older_than_what_was_announced(
    store_id: int, stable: int, is_older: bool
) -> None:
    async with driver_of_a() as bench:
        own = MemberRecord(A, incarnation=0, version=1, store_id=store_id, settled_epoch=0, key_count=0, stable=stable)
        for _ in range(2):
            bench.hear(bench.parts.views.view_id, own)
        assert bench.parts.co_owners.is_behind is is_older
    assert bench.parts.store.setting(Setting.UNFILLED) == (BEHIND if is_older else None)
    assert bench.parts.store.low_watermark() == (stable if is_older else WATERMARK)
