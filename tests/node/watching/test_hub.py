"""Watching through one node: who is told what, when a client comes and goes, and when there is a gap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.errors import Reason, Unavailable
from node.storage.transaction import Transaction
from node.values.record import Record, as_tombstone
from node.values.version import make_version
from node.watching.expired import Expired
from node.watching.hub import GONE, MOVED, TOO_MUCH, Hub, is_position
from node.watching.joint import Event
from node.watching.owner_log import OwnerLog
from node.watching.watcher import OVERHEAD_BYTES, Gap, Told, Watcher
from ring.hashing import partition_of
from tests.node.parts import A, B, Parts, node_a, on_virtual_time, record, running
from tests.node.samples import successor


@asynccontextmanager
async def hub_of(a: Parts) -> AsyncIterator[Hub]:
    log = OwnerLog(a.config, a.time, random.Random(1), a.views, a.readiness, a.co_owners, a.streams)
    hub = Hub(a.config, a.time, a.views, a.calls, log)

    def committed(transaction: Transaction) -> None:
        a.streams.spread(transaction.news)
        log.note(transaction.changes)

    a.store.attach(committed)
    async with running(hub.run()):
        yield hub


async def told(watcher: Watcher) -> list[bytes | str]:
    items = await watcher.take()
    return [item.event.key if isinstance(item, Told) else item.why for item in items]


@on_virtual_time
async def test_each_watcher_is_told_of_what_it_watches() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        everything, some = await hub.watch(b""), await hub.watch(b"ke")
        key = await hub.watch(b"key", is_exact=True)
        for each in (b"k", b"key", b"key2"):
            await a.change(each)
        await asyncio.sleep(0.1)
        assert await told(everything) == [b"k", b"key", b"key2"]
        assert await told(some) == [b"key", b"key2"]
        assert await told(key) == [b"key"]
        hub.leave(some)
        await a.change(b"key", 6)
        await asyncio.sleep(0.1)
        assert await told(key) == [b"key"] and not some._waiting


@on_virtual_time
async def test_a_watcher_is_told_whoever_else_stops_watching_prefixes_like_its_own() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        stays = await hub.watch(b"ke")
        for other in (await hub.watch(b"ke"), await hub.watch(b"no"), await hub.watch(b"ke", is_exact=True)):
            hub.leave(other)
        await a.change(b"key")
        await asyncio.sleep(0.1)
        assert await told(stays) == [b"key"]
        hub.leave(stays)
        assert not hub._lengths


@on_virtual_time
async def test_whoever_comes_back_is_told_what_it_has_missed() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        watcher = await hub.watch(b"k")
        await a.change(b"k1")
        await asyncio.sleep(0.1)
        position = (await watcher.take())[-1].position.text
        hub.leave(watcher)
        await a.change(b"k2")
        await a.change(b"other")
        again = await hub.watch(b"k", since=position)
        await a.change(b"k3")
        await asyncio.sleep(0.1)
        assert await told(again) == [b"k2", b"k3"]


@on_virtual_time
async def test_an_expiry_is_told_once_and_by_the_next_owner_to_whoever_began_after_the_first() -> None:
    a = await node_a(A)
    tombstone = as_tombstone(Record(make_version(1 << 16, 1), b"1", False, expires_ms=9).encode())
    async with hub_of(a) as hub:
        (early, anew), (follower,) = (await hub.watch(b""), await hub.watch(b"k")), hub._followers
        follower.expired = Expired((A, B))
        await asyncio.sleep(1)
        hub.tell(follower, [Event(b"k", tombstone, ((A, 1),))])
        assert await told(early) == [b"k"] and await told(anew) == [b"k"]
        late = await hub.watch(b"")
        await hub._go_on(anew, "0" * 16 + "-0")
        hub.tell(follower, [Event(b"k", tombstone, ((B, 1),)), Event(b"other", tombstone, ((B, 2),))])
        assert await told(early) == [b"other"]
        assert await told(late) == [b"k", b"other"]
        assert await told(anew) == [GONE, b"k"]


@on_virtual_time
async def test_whoever_comes_back_where_an_owner_does_not_answer_has_a_gap_soon() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        watcher = await hub.watch(b"")
        position = watcher.position.text

        async def missed(*_: object) -> None:
            await asyncio.sleep(1000)

        hub._followers[0].missed = missed  # type: ignore[method-assign,assignment]
        async with asyncio.timeout(2 * a.config.request_s):
            assert await told(await hub.watch(b"", since=position)) == [GONE]


@on_virtual_time
async def test_what_nobody_knows_any_more_is_a_gap() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        position = (await hub.watch(b"")).position.text
        for since in (position + ".7", position.replace("-0", "-9"), "0" * 16 + "-0"):
            watcher = await hub.watch(b"", since=since)
            assert [item.why for item in await watcher.take() if isinstance(item, Gap)] == [GONE]


@on_virtual_time
async def test_whoever_has_missed_more_than_may_wait_has_a_gap_from_which_it_can_go_on() -> None:
    a = await node_a(A)
    count = a.config.watch_queue_bytes // OVERHEAD_BYTES
    keys = [b"k%d" % number for number in range(count)]
    async with hub_of(a) as hub:
        watcher = await hub.watch(b"k")
        await a.change(b"k")
        await asyncio.sleep(0.1)
        position = (await watcher.take())[-1].position.text
        hub.leave(watcher)
        await a.store.merge(a.views.view_id, [(partition_of(key), key, record(5).encode()) for key in keys])
        await asyncio.sleep(0.1)
        again = await hub.watch(b"k", since=position)
        (gap,) = await again.take()
        assert isinstance(gap, Gap) and gap.why == TOO_MUCH and not again.is_over
        hub.leave(again)
        await a.change(b"k", 6)
        assert await told(await hub.watch(b"k", since=gap.position.text)) == [b"k"]


@on_virtual_time
async def test_another_view_is_a_gap_for_all_and_ids_of_the_one_before_are_gone() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        watcher = await hub.watch(b"")
        position = watcher.position.text
        await a.views.adopt(successor(a.views.current, A), A)
        hub.change_view()
        assert await told(watcher) == [MOVED]
        assert await told(await hub.watch(b"", since=position)) == [GONE]
        await a.change(b"k")
        assert await told(watcher) == [b"k"]


@on_virtual_time
async def test_nobody_is_listened_to_for_long_when_nobody_watches() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        hub.leave(await hub.watch(b""))
        await asyncio.sleep(a.config.watch_kept_s - 1)
        assert hub._open.is_set()
        hub.leave(await hub.watch(b""))
        await asyncio.sleep(a.config.watch_kept_s - 1)
        assert hub._open.is_set()
        await asyncio.sleep(2)
        assert not hub._open.is_set()
        watcher = await hub.watch(b"")
        await a.change(b"k")
        assert await told(watcher) == [b"k"]


@on_virtual_time
async def test_all_streams_end_with_their_node() -> None:
    a = await node_a(A)
    async with hub_of(a) as hub:
        watcher = await hub.watch(b"")
        hub.stop()
        assert await told(watcher) == []


@on_virtual_time
async def test_nodes_of_an_older_release_are_named() -> None:
    a = await node_a(A, B)
    a.peers.older.add(B)
    async with hub_of(a) as hub:
        with pytest.raises(Unavailable) as refusal:
            await hub.watch(b"")
        assert refusal.value.details == {"nodes": [B]} and refusal.value.reason is Reason.RELEASE


def test_position_is_what_this_store_may_have_told() -> None:
    assert all(map(is_position, ["0123456789abcdef-", "0123456789abcdef-1", "0123456789abcdef-1.22.0"]))
    assert not any(map(is_position, ["", "7", "0123456789abcdef-1.", "0123456789abcdeg-1", "0123456789abcdef-1,2"]))
