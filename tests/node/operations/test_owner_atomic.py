"""No read tells what a later one, at another owner, might not: what is told has come to all owners before."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import Address
from node.net.messages import NothingDeleted, ReadResult, Replicate, Taken, Unable, Wrote
from node.net.transport import answer_of
from node.values.record import Record
from ring.hashing import partition_of
from tests.node.operations.asking import found, read, write
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

KEY = b"k"
SOON_S = 0.2
"""Leases, commits and messages."""


async def received(parts: Parts, sender: Address, *records: tuple[bytes, Record]) -> None:
    """A co-owner has sent them here, and nobody knows to whom else."""
    message = Replicate(tuple((key, held.encode()) for key, held in records), relayed=False)
    assert await answer_of(parts.streams.replicate(sender, message)) == Taken()


@on_virtual_time
async def test_read_beside_a_write_tells_of_it_once_the_co_owner_has_it() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert parts.owner.read_here(KEY) == ReadResult(None)
        peer.is_free.clear()
        writing, before = asyncio.ensure_future(write(parts, KEY)), asyncio.ensure_future(read(parts, KEY))
        assert await before == ReadResult(None), "it has not come here yet"
        while parts.held(KEY) is None:
            await asyncio.sleep(0.001)
        assert parts.owner.read_here(KEY) is None
        reading = asyncio.ensure_future(read(parts, KEY))
        await asyncio.sleep(SOON_S / 4)
        assert not reading.done() and not writing.done()
        assert await read(parts, b"other") == ReadResult(None), "others do not wait for it"
        peer.is_free.set()
        assert (await reading, await writing) == (found(b"1", 5, 3), Wrote(False))
        assert parts.owner.read_here(KEY) == found(b"1", 5, 3)


@on_virtual_time
async def test_read_of_what_a_co_owner_has_sent_brings_it_to_the_third_one_first() -> None:
    """The sender may die before it does."""
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    third = parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        parts.compare(B, C)
        await asyncio.sleep(SOON_S)
        await received(parts, B, (KEY, record(5)))
        assert parts.owner.read_here(KEY) is None
        third.is_free.clear()
        reading = asyncio.ensure_future(read(parts, KEY))
        await asyncio.sleep(SOON_S / 4)
        assert not reading.done()
        third.is_free.set()
        assert await reading == found(b"1", 5) and third.held[KEY] == record(5)
        sent = len(third.sent)
        assert parts.owner.read_here(KEY) == await read(parts, KEY) == found(b"1", 5)
        assert len(third.sent) == sent, "that is remembered"


@on_virtual_time
async def test_read_does_not_take_the_confirmation_of_an_older_value_for_its_own() -> None:
    """The older one is on its way to the third owner, for an earlier read, when the newer one comes here."""
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    third = parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        parts.compare(B, C)
        await asyncio.sleep(SOON_S)
        await received(parts, B, (KEY, record(5, b"older")))
        third.is_free.clear()
        earlier = asyncio.ensure_future(read(parts, KEY))
        await asyncio.sleep(SOON_S / 8)
        assert third.sent, "it has begun"
        await received(parts, B, (KEY, record(6, b"newer")))
        later = asyncio.ensure_future(read(parts, KEY))
        await asyncio.sleep(SOON_S / 8)
        third.is_free.set()
        assert (await earlier, await later) == (found(b"older", 5), found(b"newer", 6))
        assert third.held[KEY] == record(6, b"newer")


@on_virtual_time
async def test_read_of_what_is_old_enough_asks_nobody_until_the_view_changes() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    third = parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        parts.compare(B, C)
        await asyncio.sleep(SOON_S)
        await received(parts, B, (KEY, record(5)), (b"l", record(6)))
        parts.co_owners.note_stable(5 << 16)
        assert parts.owner.read_here(KEY) == found(b"1", 5) and parts.owner.read_here(b"l") is None
        assert third.sent == []
        await parts.views.adopt(successor(parts.views.current, A, B, C), B)
        parts.compare(B, C)
        await asyncio.sleep(SOON_S)
        assert parts.owner.read_here(KEY) is None, "who shares the key now has not said that it has it"


@on_virtual_time
async def test_read_without_a_lease_of_what_all_who_were_heard_have_waits_for_nobody() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B, (KEY, record(5)))
    peer.lease_granted = False
    await parts.keep((KEY, record(5)))
    peer.is_free.clear()
    async with parts.running():
        assert await read(parts, KEY) == found(b"1", 5)


@on_virtual_time
async def test_read_while_the_co_owner_is_down_goes_on_without_it() -> None:
    parts = await node_a(A, B, repl_factor=2)
    await parts.change(KEY)
    async with parts.running():
        await asyncio.sleep(1.0)
        assert await read(parts, KEY) == found(b"1", 5)
        assert parts.owner.read_here(KEY) is None or parts.co_owners.has_spread(KEY, record(5).version)


@on_virtual_time
async def test_delete_that_finds_a_deletion_under_way_waits_until_the_co_owner_has_that() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        peer.is_free.clear()
        await parts.store.merge(parts.views.view_id, [(partition_of(KEY), KEY, record(5, None).encode())])
        deleting = asyncio.ensure_future(write(parts, KEY, None, record(6).version))
        await asyncio.sleep(SOON_S / 4)
        assert not deleting.done()
        peer.is_free.set()
        assert await deleting == NothingDeleted()


@pytest.mark.parametrize(("at_c", "told"), [(5, found(b"1", 5)), (4, Unable())])
@on_virtual_time
async def test_read_on_a_full_disk_tells_what_all_have_who_were_heard(at_c: int, told: object) -> None:
    """It cannot be kept here, and so not be brought to anybody."""
    parts = await node_a(A, B, C, repl_factor=3)
    for peer, clock in ((B, 5), (C, at_c)):
        parts.co_owner(peer, (KEY, record(clock))).lease_granted = False
    parts.disk.full = True
    async with parts.running():
        assert await read(parts, KEY) == told
