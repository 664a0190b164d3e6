"""Keys that expire, at their owner: what it tells of them at which time, whoever holds the record."""

from __future__ import annotations

import asyncio

import pytest

from node.net.messages import (
    NothingDeleted,
    Read,
    ReadResult,
    ReadResultExpiring,
    Replicate,
    Unable,
    WriteExpiring,
    Wrote,
)
from node.net.transport import answer_of
from node.values.context import Context
from node.values.record import Record
from ring.hashing import partition_of
from tests.node.operations.asking import V5, read, write
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record

LEFT_MS = 500


def expiring(parts: Parts, clock: int = 3, in_ms: int = LEFT_MS) -> Record:
    return record(clock)._replace(expires_ms=parts.time.wall_ms() + in_ms)


async def put_expiring(parts: Parts, key: bytes, in_ms: int = LEFT_MS) -> object:
    put = WriteExpiring(key, V5, b"1", None, parts.time.wall_ms() + in_ms)
    return await answer_of(parts.owner.serve(put, parts.config.request_s + parts.config.reply_s))


@on_virtual_time
async def test_read_tells_how_long_there_is_something_to_read_and_then_nothing() -> None:
    parts = await node_a(A, B)
    key, held = parts.key_of(A), expiring(parts)
    await parts.keep((key, held))
    told = parts.owner.read_here(key)
    assert isinstance(told, ReadResultExpiring) and told == await read(parts, key)
    assert (told.value, told.version) == (b"1", held.version) and LEFT_MS - 20 < told.left_ms <= LEFT_MS
    await asyncio.sleep(LEFT_MS / 1000)
    assert parts.owner.read_here(key) == await read(parts, key) == ReadResult(None)


@on_virtual_time
async def test_read_of_what_has_expired_is_a_miss_that_depends_on_it() -> None:
    """As of a deletion: whoever has seen that the key is gone must not see what was there before it."""
    parts = await node_a(A, B)
    key, held = parts.key_of(A), expiring(parts, in_ms=0)
    await parts.keep((key, held))
    parts.wait_for(B, key)
    parts.co_owner(B)
    told = await parts.owner._attempt(Read(key, Context()), parts.deadline)
    assert isinstance(told, ReadResult) and told.value is None and told.version is None
    assert told.context is not None


@on_virtual_time
async def test_write_of_a_donor_takes_its_expiry_along() -> None:
    parts = await node_a(A, B)
    key, theirs = parts.key_of(A), expiring(parts)
    parts.wait_for(B, key)
    parts.co_owner(B, (key, theirs))
    assert isinstance(await read(parts, key), ReadResultExpiring)
    assert parts.held(key) == theirs


@pytest.mark.parametrize("value", [b"2", None], ids=["put", "delete"])
@on_virtual_time
async def test_write_finds_nothing_where_a_donor_has_what_has_expired(value: bytes | None) -> None:
    parts = await node_a(A, B)
    key, theirs = parts.key_of(A), expiring(parts, in_ms=0)
    parts.wait_for(B, key)
    parts.co_owner(B, (key, theirs))
    assert await write(parts, key, value) == (NothingDeleted() if value is None else Wrote(False))


@on_virtual_time
async def test_what_has_expired_is_brought_to_all_before_anybody_is_told_that_it_is_gone() -> None:
    """Another owner may hold what was there before it, and somebody would read that after this."""
    parts = await node_a(A, B, repl_factor=2)
    there = parts.co_owner(B, (b"k", record(2)))
    async with parts.running():
        await asyncio.sleep(0.2)
        there.is_free.clear()
        held = expiring(parts, in_ms=0)
        await parts.store.merge(parts.views.view_id, [(partition_of(b"k"), b"k", held.encode())])
        assert parts.owner.read_here(b"k") is None
        reading = asyncio.ensure_future(read(parts, b"k"))
        await asyncio.sleep(0.1)
        assert not reading.done()
        there.is_free.set()
        assert await reading == ReadResult(None)
        assert there.held[b"k"] == held


@on_virtual_time
async def test_put_brings_its_expiry_to_all_owners() -> None:
    parts = await node_a(A, B, repl_factor=2)
    there = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.2)
        assert await put_expiring(parts, b"k") == Wrote(False)
    held = parts.held(b"k")
    assert held is not None and held.expires_ms is not None
    assert there.held[b"k"] == held


@on_virtual_time
async def test_put_again_is_answered_as_before_though_it_has_expired() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    await parts.keep((key, record(3)))
    assert await put_expiring(parts, key) == Wrote(True)
    await asyncio.sleep(LEFT_MS / 1000)
    assert await put_expiring(parts, key, 0) == Wrote(True)


@on_virtual_time
async def test_put_is_refused_while_an_owner_knows_of_no_expiry() -> None:
    """It would refuse the record, and with it all that is in the stream behind it."""
    parts = await node_a(A, B, C, repl_factor=3)
    there = [parts.co_owner(peer) for peer in (B, C)]
    parts.peers.older.add(C)
    async with parts.running():
        await asyncio.sleep(0.2)
        assert await put_expiring(parts, b"k") == Unable()
        assert parts.held(b"k") is None and not any(each.sent for each in there)
        assert await write(parts, b"k") == Wrote(False)
        parts.peers.older.clear()
        assert isinstance(await put_expiring(parts, b"other"), Wrote)
    assert parts.asked(Replicate)
