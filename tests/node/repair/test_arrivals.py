"""What a node makes of what others bring it: announcements, comparisons and records."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import Address
from node.net.messages import (
    Compare,
    Differing,
    NoRoom,
    Offer,
    Push,
    Taken,
    Unable,
    ViewIs,
    Wanted,
    Wrote,
)
from node.net.transport import answer_of
from ring.hashing import pack, partition_of, unpack
from tests.node.operations.asking import write
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.repair.arriving import ALONE, COPY, COVERED, announce, encoded, places, push, rows
from tests.node.samples import Row, successor

# Taking


@on_virtual_time
async def test_push_is_taken_and_the_donor_forgotten_where_it_has_finished() -> None:
    parts = await node_a(A, B)
    first, second = parts.own_keys(2)
    await announce(parts, C, [first, second])
    assert await push(parts, C, (first, record(5)), (second, record(5)), finished=places([first])) == Taken()
    assert (parts.held(first), parts.held(second)) == (record(5), record(5))
    assert rows(parts) == [Row(partition_of(second), C, ALONE)]


@on_virtual_time
async def test_push_twice_or_late_changes_nothing() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await parts.keep((key, record(6)))
    before = parts.store.stats(partition_of(key))
    for _ in range(2):
        assert await push(parts, C, (key, record(5)), finished=places([key])) == Taken()
    assert parts.held(key) == record(6) and parts.store.stats(partition_of(key)) == before


@on_virtual_time
async def test_push_is_confirmed_once_the_co_owner_has_it_too() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        pushing = asyncio.ensure_future(push(parts, C, (b"k", record(5))))
        await asyncio.sleep(0.2)
        assert parts.held(b"k") == record(5) and not pushing.done()
        peer.is_free.set()
        assert await pushing == Taken()
    assert peer.held[b"k"] == record(5)


@on_virtual_time
async def test_push_goes_on_to_co_owners_one_at_a_time() -> None:
    """What clients write meanwhile waits behind one batch, not behind all that donors bring."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        first = asyncio.ensure_future(push(parts, C, (b"k", record(5))))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(push(parts, D, (b"l", record(5))))
        await asyncio.sleep(0.1)
        assert parts.held(b"k") == record(5) and parts.held(b"l") is None
        peer.is_free.set()
        assert (await first, await second) == (Taken(), Taken())
    assert parts.held(b"l") == peer.held[b"l"] == record(5)


@on_virtual_time
async def test_push_that_waits_for_its_turn_too_long_is_refused_and_changes_nothing() -> None:
    parts = await node_a(A, B, repl_factor=2)
    (key,) = parts.own_keys(1)
    await announce(parts, D, [key])
    await parts.arrivals._turn.acquire()
    began = parts.time.monotonic()
    assert await push(parts, D, (key, record(5)), finished=places([key])) == Unable()
    assert parts.time.monotonic() - began < parts.config.transfer_s, "who sent it hears in time"
    assert parts.held(key) is None and rows(parts) == [Row(partition_of(key), D, ALONE)]


@on_virtual_time
async def test_push_of_a_co_owner_does_not_wait_behind_those_that_wait_for_it() -> None:
    """Until the comparison has ended that this is part of, nothing that came before it is confirmed."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).confirms = False
    async with parts.running():
        waiting = asyncio.ensure_future(push(parts, C, (b"k", record(5))))
        await asyncio.sleep(0.1)
        assert await push(parts, B, (b"l", record(5))) == Taken()
        assert not waiting.done() and parts.held(b"l") == record(5)
        assert await waiting == Unable()


@on_virtual_time
async def test_push_of_the_last_copy_covers_the_others() -> None:
    parts = await node_a(A, B, repl_factor=1)
    (key,) = parts.own_keys(1)
    await parts.wait_durably(Row(partition_of(key), C, COPY), Row(partition_of(key), D, COPY))
    await push(parts, C, finished=places([key]))
    assert rows(parts) == [Row(partition_of(key), D, COVERED)]


@on_virtual_time
async def test_push_of_what_does_not_belong_here_is_refused_whole() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    assert await push(parts, C, (key, record(5)), (parts.foreign_key(), record(5))) == Unable()
    garbled = Push(((key, b"short"),), b"")
    assert await answer_of(parts.arrivals.push(C, garbled)) == Unable()
    assert await answer_of(parts.arrivals.push(C, Push(encoded((key, record(5))), b"\0"))) == Unable()
    assert not parts.store.occupied


@pytest.mark.parametrize("members", [(A, B), (B,)], ids=["still an owner", "an owner no more"])
@on_virtual_time
async def test_push_under_a_view_that_was_left_is_refused_with_the_present_one(members: tuple[Address, ...]) -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    answering = parts.arrivals.push(C, Push(encoded((key, record(5))), pack(places([key]))))
    await parts.views.adopt(successor(parts.views.current, *members), B)
    answer = await answer_of(answering)
    assert answer == ViewIs(parts.views.current.encoded) and not parts.store.occupied


@on_virtual_time
async def test_push_on_a_full_disk_keeps_the_donor() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await announce(parts, C, [key])
    parts.disk.full = True
    assert await push(parts, C, (key, record(5)), finished=places([key])) == NoRoom()
    assert rows(parts) == [Row(partition_of(key), C, ALONE)]


@on_virtual_time
async def test_push_of_deletions_is_taken_on_a_full_disk() -> None:
    """They take no more room than what they replace; what brings more is not taken."""
    parts = await node_a(A, B)
    first, second = parts.own_keys(2)
    await parts.keep((first, record(5)), (second, record(5)))
    parts.disk.full = True
    assert await push(parts, C, (first, record(6, None)), finished=places([first])) == Taken()
    assert parts.held(first) == record(6, None)
    assert await push(parts, C, (second, record(6)), finished=places([second])) == NoRoom()
    assert await push(parts, C, finished=places([second])) == Taken()


@pytest.mark.parametrize("clients_served", [True, False])
@on_virtual_time
async def test_push_waits_for_the_one_before_it_only_while_clients_are_served(clients_served: bool) -> None:
    """Their writes shall not queue up behind the batches of all donors."""
    parts = await node_a(A, B)
    parts.arrivals._clients_served = lambda: clients_served
    first, second, written = parts.own_keys(3)
    pushes = [
        asyncio.ensure_future(push(parts, C, (first, record(5)))),
        asyncio.ensure_future(push(parts, D, (second, record(5)))),
    ]
    await asyncio.sleep(0)
    assert await write(parts, written) == Wrote(False)
    assert [parts.held(first), parts.held(second)].count(None) == (1 if clients_served else 0)
    assert await asyncio.gather(*pushes) == [Taken(), Taken()]


# Comparing


@on_virtual_time
async def test_compare_tells_empty_from_different_from_equal() -> None:
    parts = await node_a(A, B, repl_factor=2)
    empty, different, equal, _nowhere = keys = parts.own_keys(4)
    await parts.keep((different, record(5)), (equal, record(5)))
    same = parts.store.stats(partition_of(equal)).digest
    digests = b"".join(digest.to_bytes(8) for digest in (7, 0, same, 0))
    answer = parts.arrivals.compare(B, Compare(pack(places(keys)), digests))
    assert answer == Differing(pack(places([empty])), pack(places([different])))


@pytest.mark.parametrize("digests", [b"", bytes(7), bytes(16)])
@on_virtual_time
async def test_compare_that_is_malformed_is_refused(digests: bytes) -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    assert parts.arrivals.compare(B, Compare(pack(places([key])), digests)) == Unable()
    assert parts.arrivals.compare(B, Compare(b"\0", bytes(8))) == Unable()
    assert parts.arrivals.compare(B, Compare(pack(places([parts.foreign_key()])), bytes(8))) == Unable()


@on_virtual_time
async def test_offer_wants_what_is_missing_or_older_here() -> None:
    parts = await node_a(A, B, repl_factor=2)
    older, same, newer, missing = keys = [b"older", b"same", b"newer", b"missing"]
    await parts.keep((older, record(4)), (same, record(5)), (newer, record(6)))
    answer = parts.arrivals.offer(B, Offer(tuple((key, record(5).version) for key in keys)))
    assert isinstance(answer, Wanted) and [keys[index] for index in unpack(answer.indexes)] == [older, missing]


@on_virtual_time
async def test_offer_of_what_does_not_belong_here_is_refused_whole() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    offer = Offer(((key, record(5).version), (parts.foreign_key(), record(5).version)))
    assert parts.arrivals.offer(C, offer) == Unable()
