"""Who has to bring what to whom, and what the side that takes makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from gossip.view import Address
from node.errors import StorageFault
from node.net.messages import (
    Answer,
    AskHolding,
    Compare,
    Differing,
    Holding,
    Offer,
    Push,
    Request,
    Taken,
    Unable,
    ViewIs,
    Wanted,
)
from node.values.donors import Kind
from node.values.record import Record
from ring.hashing import PARTITIONS, pack, partition_of, unpack
from tests.node.fakes import Row, rows_of, successor
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time, record

ALONE, COPY, COVERED = Kind.ALONE, Kind.COPY, Kind.COVERED


def encoded(*items: tuple[bytes, Record]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((key, found.encode()) for key, found in items)


def mine(parts: Parts, count: int) -> list[bytes]:
    """Keys that A owns, in as many partitions, ascending."""
    found: dict[int, bytes] = {}
    for key in (b"k%d" % n for n in range(10_000)):
        if parts.views.ring.owns(A, partition_of(key)):
            found.setdefault(partition_of(key), key)
    return [found[partition] for partition in sorted(found)[:count]]


def elsewhere(parts: Parts) -> bytes:
    return next(key for key in (b"k%d" % n for n in range(100)) if not parts.views.ring.owns(A, partition_of(key)))


def places(keys: Iterable[bytes]) -> list[int]:
    return [partition_of(key) for key in keys]


async def push(parts: Parts, sender: Address, *items: tuple[bytes, Record], finished: Iterable[int] = ()) -> Answer:
    return await parts.handoff.push(sender, parts.views.view_id, Push(encoded(*items), pack(finished)))


async def announce(parts: Parts, donor: Address, keys: Iterable[bytes]) -> Answer:
    return await parts.handoff.announced(donor, parts.views.view_id, Holding(pack(places(keys))))


def rows(parts: Parts) -> list[Row]:
    """In memory; and on disk, what is the same."""
    found = rows_of(parts.views.donors.shares)
    assert found == rows_of(parts.store.donors())
    return found


# Taking


@on_virtual_time
async def test_push_is_taken_and_the_donor_forgotten_where_it_has_finished() -> None:
    parts = await node_a(A, B)
    first, second = mine(parts, 2)
    await announce(parts, C, [first, second])
    assert await push(parts, C, (first, record(5)), (second, record(5)), finished=places([first])) == Taken()
    assert (parts.held(first), parts.held(second)) == (record(5), record(5))
    assert rows(parts) == [Row(partition_of(second), C, ALONE)]


@on_virtual_time
async def test_push_twice_or_late_changes_nothing() -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
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
async def test_push_of_the_last_copy_covers_the_others() -> None:
    parts = await node_a(A, B, repl_factor=1)
    (key,) = mine(parts, 1)
    await parts.wait_durably(Row(partition_of(key), C, COPY), Row(partition_of(key), D, COPY))
    await push(parts, C, finished=places([key]))
    assert rows(parts) == [Row(partition_of(key), D, COVERED)]


@on_virtual_time
async def test_push_of_what_does_not_belong_here_is_refused_whole() -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
    assert await push(parts, C, (key, record(5)), (elsewhere(parts), record(5))) == Unable()
    garbled = Push(((key, b"short"),), b"")
    assert await parts.handoff.push(C, parts.views.view_id, garbled) == Unable()
    assert await parts.handoff.push(C, parts.views.view_id, Push(encoded((key, record(5))), b"\0")) == Unable()
    assert not parts.store.occupied


@on_virtual_time
async def test_push_under_a_view_that_was_left_is_refused_with_the_present_one() -> None:
    parts = await node_a(A, B)
    before = parts.views.view_id
    (key,) = mine(parts, 1)
    await parts.views.adopt(successor(parts.views.current, A, B), B)
    answer = await parts.handoff.push(C, before, Push(encoded((key, record(5))), pack(places([key]))))
    assert answer == ViewIs(parts.views.current.encoded) and not parts.store.occupied


@on_virtual_time
async def test_push_on_a_full_disk_keeps_the_donor() -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
    await announce(parts, C, [key])
    parts.disk.full = True
    with pytest.raises(StorageFault):
        await push(parts, C, (key, record(5)), finished=places([key]))
    assert rows(parts) == [Row(partition_of(key), C, ALONE)]


# Announcements


@on_virtual_time
async def test_announcement_is_complete_so_it_also_ends_what_is_not_in_it() -> None:
    parts = await node_a(A, B)
    first, second, third = mine(parts, 3)
    await announce(parts, C, [first, second])
    await announce(parts, D, [first])
    await announce(parts, C, [second, third])
    expected = [Row(*row, ALONE) for row in zip(places([first, second, third]), (D, C, C), strict=True)]
    assert rows(parts) == sorted(expected)


@on_virtual_time
async def test_announcement_keeps_the_kind_of_a_donor_that_is_one_already() -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
    await parts.wait_durably(Row(partition_of(key), C, COPY))
    await announce(parts, C, [key])
    assert rows(parts) == [Row(partition_of(key), C, COPY)]


@on_virtual_time
async def test_announcement_of_a_copy_that_holds_nothing_covers_the_others() -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
    await parts.wait_durably(Row(partition_of(key), C, COPY), Row(partition_of(key), D, COPY))
    await announce(parts, C, [])
    assert rows(parts) == [Row(partition_of(key), D, COVERED)]


@on_virtual_time
async def test_announcement_of_a_co_owner_makes_it_no_donor_of_what_it_has_finished() -> None:
    """It is brought up to date batch by batch, and claimed from meanwhile: until the end it names all that it holds."""
    parts = await node_a(A, B, repl_factor=2)
    first, second = mine(parts, 2)
    await parts.wait_durably(*(Row(partition, B, COPY) for partition in places([first, second])))
    await push(parts, B, (first, record(5)), finished=places([first]))
    await announce(parts, B, [first, second])
    assert rows(parts) == [Row(partition_of(second), B, COPY)]


@on_virtual_time
async def test_announcement_of_what_does_not_belong_here_is_refused() -> None:
    parts = await node_a(A, B)
    assert await announce(parts, C, [elsewhere(parts)]) == Unable()
    for packed in (b"\0", pack([PARTITIONS])):
        assert await parts.handoff.announced(C, parts.views.view_id, Holding(packed)) == Unable()
    assert rows(parts) == []


# Comparing


@on_virtual_time
async def test_compare_tells_empty_from_different_from_equal() -> None:
    parts = await node_a(A, B, repl_factor=2)
    empty, different, equal, _nowhere = keys = mine(parts, 4)
    await parts.keep((different, record(5)), (equal, record(5)))
    same = parts.store.stats(partition_of(equal)).digest
    digests = b"".join(digest.to_bytes(8) for digest in (7, 0, same, 0))
    answer = parts.handoff.compare(B, Compare(pack(places(keys)), digests))
    assert answer == Differing(pack(places([empty])), pack(places([different])))


@pytest.mark.parametrize("digests", [b"", bytes(7), bytes(16)])
@on_virtual_time
async def test_compare_that_is_malformed_is_refused(digests: bytes) -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
    assert parts.handoff.compare(B, Compare(pack(places([key])), digests)) == Unable()
    assert parts.handoff.compare(B, Compare(b"\0", bytes(8))) == Unable()
    assert parts.handoff.compare(B, Compare(pack(places([elsewhere(parts)])), bytes(8))) == Unable()


@on_virtual_time
async def test_offer_wants_what_is_missing_or_older_here() -> None:
    parts = await node_a(A, B, repl_factor=2)
    older, same, newer, missing = keys = [b"older", b"same", b"newer", b"missing"]
    await parts.keep((older, record(4)), (same, record(5)), (newer, record(6)))
    answer = parts.handoff.offer(B, Offer(tuple((key, record(5).version) for key in keys)))
    assert isinstance(answer, Wanted) and [keys[index] for index in unpack(answer.indexes)] == [older, missing]


# Holding


@on_virtual_time
async def test_claim_is_answered_with_what_the_owner_has_not_heard_of() -> None:
    parts = await node_a(A, B, repl_factor=1)
    theirs = elsewhere(parts)
    (own,) = mine(parts, 1)
    await parts.keep((theirs, record(5)), (own, record(5)))
    assert parts.handoff.claim(B) == Holding(pack(places([theirs])))
    assert parts.handoff.claim(C) == Holding(b"")


@on_virtual_time
async def test_claim_of_a_co_owner_is_answered_with_all_until_it_was_compared_with() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = mine(parts, 2)
    await parts.keep(*((key, record(5)) for key in keys))
    assert parts.handoff.claim(B) == Holding(pack(places(keys)))
    assert not parts.handoff.is_settled() or parts.peers.is_down(B)
    parts.compare(B)
    assert parts.handoff.claim(B) == Holding(b"")


@on_virtual_time
async def test_settled_once_each_co_owner_that_can_be_reached_has_what_is_here() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    assert not parts.handoff.is_settled()
    parts.compare(B)
    assert parts.handoff.is_settled()
    parts.co_owner(C)
    assert not parts.handoff.is_settled()


@on_virtual_time
async def test_hand_over_goes_to_all_owners_that_can_be_reached() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    up, _down = others
    asked: list[Request] = []

    def take(request: Request) -> Answer:
        asked.append(request)
        return Differing(pack(places([key])), b"") if isinstance(request, Compare) else Taken()

    parts.peers.script[up] = take
    async with parts.running(parts.handoff.run()):
        while parts.held(key) is not None:
            await asyncio.sleep(0.01)
    assert [type(request) for request in asked] == [Holding, Compare, Push]
    assert parts.handoff.misplaced() == {}


@on_virtual_time
async def test_hand_over_waits_while_an_owner_that_answers_does_not_take_it() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    up, full = others
    parts.peers.script[up] = lambda request: Taken()
    parts.peers.script[full] = lambda request: Unable()
    async with parts.running(parts.handoff.run()):
        await asyncio.sleep(2.0)
    assert parts.held(key) == record(5)
    assert {type(request) for _, request in parts.peers.asked} == {Holding}


@on_virtual_time
async def test_donor_that_holds_nothing_is_found_out_by_claiming() -> None:
    parts = await node_a(A, B)
    (key,) = mine(parts, 1)
    await parts.wait_durably(Row(partition_of(key), C, ALONE))
    parts.peers.script[C] = lambda request: Holding(b"")
    async with parts.running(parts.handoff.run()):
        while rows(parts):
            await asyncio.sleep(0.01)
    assert parts.asked(AskHolding)[0] == (C, AskHolding())
