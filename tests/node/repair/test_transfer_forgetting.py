"""When a node may forget what it has brought to others."""

from __future__ import annotations

import asyncio

import pytest

from node.net.messages import Compare, Offer, Push, ViewIs
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.repair.bringing import bring, some, taker
from tests.node.samples import successor


@on_virtual_time
async def test_transfer_without_forgetting_keeps_all() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = await some(parts, 3, A, B)
    taker(parts, B)
    assert await bring(parts, keys, B)
    assert [parts.held(key) for key in keys] == [record(5)] * 3


@on_virtual_time
async def test_transfer_forgets_what_all_have_confirmed() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    keys = await some(parts, 5, *others)
    one, other = (taker(parts, peer) for peer in others)
    assert await bring(parts, keys, *others, forget=True)
    assert not parts.store.occupied
    assert sorted(one.held) == sorted(other.held) == sorted(keys)


@pytest.mark.parametrize("refused", [Compare, Offer, Push], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
@on_virtual_time
async def test_transfer_forgets_nothing_unless_all_have_confirmed(which: int, refused: type) -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    keys = await some(parts, 5, *others)
    takers = [taker(parts, peer, different=[(key, record(1)) for key in keys]) for peer in others]
    takers[which].refuses = refused
    assert not await bring(parts, keys, *others, forget=True)
    assert [parts.held(key) for key in keys] == [record(5)] * 5


@on_virtual_time
async def test_transfer_to_one_that_is_down_forgets_nothing() -> None:
    parts = await node_a(A, B)
    keys = await some(parts, 5, B)
    assert not await bring(parts, keys, B, forget=True)
    assert [parts.held(key) for key in keys] == [record(5)] * 5


@on_virtual_time
async def test_transfer_forgetting_spares_newer_versions() -> None:
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    peer = taker(parts, B)
    peer.is_free.clear()
    bringing = asyncio.ensure_future(bring(parts, keys, B, forget=True))
    while not peer.pushes:
        await asyncio.sleep(0.001)
    await parts.keep((keys[1], record(6)))
    peer.is_free.set()
    assert await bringing
    assert [parts.held(key) for key in keys] == [None, record(6), None]


@on_virtual_time
async def test_transfer_a_change_of_view_stops_the_forgetting() -> None:
    """Under the new one, this node might be the owner."""
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    peer = taker(parts, B)
    peer.is_free.clear()
    bringing = asyncio.ensure_future(bring(parts, keys, B, forget=True))
    while not peer.pushes:
        await asyncio.sleep(0.001)
    await parts.views.adopt(successor(parts.views.current, A), B)
    peer.is_free.set()
    assert not await bringing
    assert [parts.held(key) for key in keys] == [record(5)] * 3


@on_virtual_time
async def test_transfer_a_taker_under_a_later_view_stops_it_and_teaches_the_view() -> None:
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    later = successor(parts.views.current, A)
    parts.peers.script[B] = lambda _: ViewIs(later.encoded)
    assert not await bring(parts, keys, B, forget=True)
    assert parts.views.current == later
    assert [parts.held(key) for key in keys] == [record(5)] * 3


@on_virtual_time
async def test_transfer_on_a_disk_that_refuses_forgets_nothing_and_is_no_fault_of_the_node() -> None:
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    peer = taker(parts, B)
    parts.disk.exhausted = True
    assert not await bring(parts, keys, B, forget=True)
    assert sorted(peer.held) == sorted(keys)
    assert [parts.held(key) for key in keys] == [record(5)] * 3
