"""What an owner does with many operations at once, and what it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gossip.view import ViewId
from node.errors import StorageFault
from node.net.messages import (
    Answer,
    Batch,
    Batched,
    Copies,
    Fetch,
    MayBeStored,
    Read,
    ReadResult,
    ReadResultExpiring,
    Superseded,
    Unable,
    Write,
    Wrote,
)
from node.net.transport import answer_of
from node.operations import together
from node.operations.together import Job
from node.storage.writes import WriteOutcome
from node.values.context import EMPTY
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of
from tests.node.operations.asking import V5, found
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

LIMIT_S = 1.0
SOON_S = 0.2
"""Leases, commits and messages."""
LEFT, MAY_BE_STORED = Unable(), MayBeStored()
VALUE = b'"v"'


async def serve(parts: Parts, *operations: Read | Write) -> Sequence[Answer]:
    answer = await answer_of(parts.owner.serve(Batch(operations), LIMIT_S))
    assert isinstance(answer, Batched)
    return answer.answers


def put(key: bytes, value: bytes = VALUE) -> Write:
    return Write(key, V5, value)


@on_virtual_time
async def test_together_answers_each_what_it_would_get_alone() -> None:
    parts = await node_a(A)
    await parts.keep((b"old", record(3)), (b"read", record(3, VALUE)), (b"gone", record(3)), (b"newer", record(9)))
    operations = (put(b"new"), put(b"old"), put(b"newer"), Write(b"gone", V5, None), Read(b"read"), Read(b"nothing"))
    assert await serve(parts, *operations) == (
        *(Wrote(False), Wrote(True), Superseded(record(9).version), Wrote(True)),
        *(found(VALUE, 3), ReadResult(None)),
    )
    assert parts.held(b"new") == Record(V5, VALUE, False) and parts.held(b"newer") == record(9)
    gone = parts.held(b"gone")
    assert gone is not None and not gone.has_value


@on_virtual_time
async def test_together_tells_for_how_long_a_value_stays_and_puts_over_one_that_has_expired() -> None:
    parts = await node_a(A)
    now_ms, version = parts.time.wall_ms(), make_version(3 << 16, 9)
    brief, over = Record(version, b"1", False, b"", now_ms + 5000), Record(version, b"1", False, b"", now_ms - 1)
    await parts.keep((b"brief", brief), (b"over", over))
    told, nothing, put_over = await serve(parts, Read(b"brief"), Read(b"over"), put(b"over"))
    assert isinstance(told, ReadResultExpiring) and 4000 < told.left_ms <= 5000
    assert (nothing, put_over) == (ReadResult(None), Wrote(False))


@on_virtual_time
async def test_together_repeated_is_done_once() -> None:
    parts = await node_a(A)
    assert await serve(parts, put(b"k"), put(b"l")) == (Wrote(False), Wrote(False))
    assert await serve(parts, put(b"k"), put(b"l")) == (Wrote(False), Wrote(False))


@on_virtual_time
async def test_together_leaves_the_deletion_of_what_is_not_there() -> None:
    """Whether it is elsewhere, is asked on the ordinary way."""
    parts = await node_a(A)
    assert await serve(parts, Write(b"k", V5, None)) == (LEFT,)
    assert parts.held(b"k") is None


@on_virtual_time
async def test_together_leaves_what_has_a_context() -> None:
    parts = await node_a(A)
    assert await serve(parts, Write(b"k", V5, VALUE, EMPTY), Read(b"l", EMPTY)) == (LEFT, LEFT)


@on_virtual_time
async def test_together_leaves_what_it_does_not_own() -> None:
    parts = await node_a(A, B)
    foreign, own = parts.foreign_key(), parts.key_of(A)
    assert await serve(parts, put(foreign), Read(foreign), put(own)) == (LEFT, LEFT, Wrote(False))
    assert parts.held(foreign) is None


@on_virtual_time
async def test_together_leaves_what_a_donor_may_have_something_newer_of() -> None:
    parts = await node_a(A, B)
    moving, settled = parts.own_keys(2)
    parts.wait_for(B, moving)
    parts.co_owner(B, (moving, record(9)))
    assert await serve(parts, put(moving), put(settled)) == (LEFT, Wrote(False))
    assert await serve(parts, Read(moving)) == (LEFT,)
    assert parts.held(moving) is None and parts.asked(Fetch) == []


@on_virtual_time
async def test_together_leaves_all_without_a_lease() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).lease_granted = False
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await serve(parts, put(b"k"), Read(b"k")) == (LEFT, LEFT)


@on_virtual_time
async def test_together_leaves_all_while_its_disk_is_older_than_it_was() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await serve(parts, put(b"k")) == (Wrote(False),)
        parts.co_owners.note_behind()
        assert await serve(parts, put(b"l"), Read(b"k")) == (LEFT, LEFT)


@on_virtual_time
async def test_together_leaves_all_before_it_may_act() -> None:
    parts = await node_a(A)
    parts.readiness.pause()
    assert await serve(parts, put(b"k"), Read(b"k")) == (LEFT, LEFT)


@on_virtual_time
async def test_together_leaves_writes_on_a_full_disk_and_reads_on() -> None:
    parts = await node_a(A)
    await parts.keep((b"k", record(3)))
    parts.disk.full = True
    assert await serve(parts, put(b"k"), Write(b"l", V5, None), Read(b"k")) == (LEFT, LEFT, found(b"1", 3))


@on_virtual_time
async def test_together_is_not_written_under_a_later_view() -> None:
    """Whoever owns the keys by then has been told that there is nothing more to come."""
    parts = await node_a(A, B)
    parts.co_owner(B)
    key, write_together = parts.key_of(A), parts.store.write_together

    async def behind_the_view(
        fence: ViewId, writes: Sequence[Job], now_ms: Callable[[], int]
    ) -> Sequence[WriteOutcome]:
        await parts.views.adopt(successor(parts.views.current, B), B)
        return await write_together(fence, writes, now_ms)

    parts.store.write_together = behind_the_view  # type: ignore[assignment, method-assign]
    assert await serve(parts, put(key)) == (LEFT,)
    assert parts.held(key) is None


@on_virtual_time
async def test_together_is_answered_once_every_co_owner_has_all() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    second, third = parts.co_owner(B), parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        third.is_free.clear()
        serving = asyncio.ensure_future(serve(parts, put(b"k"), put(b"l")))
        await asyncio.sleep(SOON_S)
        assert parts.held(b"l") is not None and not serving.done()
        third.is_free.set()
        assert await serving == (Wrote(False), Wrote(False))
    assert {b"k", b"l"} <= second.held.keys() & third.held.keys()


@on_virtual_time
async def test_together_repeated_waits_for_a_co_owner_that_is_being_sent_something_older() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        peer.is_free.clear()
        await parts.change(b"k", 4)
        while not peer.sent:
            await asyncio.sleep(0.001)
        await parts.keep((b"k", Record(V5, VALUE, True)))
        serving = asyncio.ensure_future(serve(parts, put(b"k")))
        await asyncio.sleep(0.001)
        peer.is_free.set()
        assert await serving == (Wrote(True),)
        assert peer.held[b"k"].version == V5


@on_virtual_time
async def test_together_tells_of_copies_that_were_left_out() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        peer.has_room = False
        assert await serve(parts, put(b"k"), put(b"l")) == (Wrote(False, copies=Copies(1, 2)),) * 2


@on_virtual_time
async def test_together_not_acknowledged_in_time_may_be_stored() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        peer.is_free.clear()
        batch = Batch((put(b"k"), Read(b"nothing")))
        answer = await answer_of(parts.owner.serve(batch, SOON_S))
        assert answer == Batched((MAY_BE_STORED, ReadResult(None)))
        assert parts.held(b"k") is not None


@pytest.mark.parametrize("where", ["disk", "copies"])
def test_together_in_a_pause_may_be_stored(where: str) -> None:
    """Others may have taken its place."""

    @on_virtual_time
    async def run() -> None:
        parts = await node_a(A, B, repl_factor=2)
        peer = parts.co_owner(B)
        async with parts.running():
            await asyncio.sleep(SOON_S)
            if where == "copies":
                peer.is_free.clear()
            serving = asyncio.ensure_future(serve(parts, put(b"k")))
            await asyncio.sleep(SOON_S / 4 if where == "copies" else 0)
            parts.readiness.is_ready = False
            peer.is_free.set()
            assert await serving == (MAY_BE_STORED,)

    run()


@on_virtual_time
async def test_together_that_meets_a_new_view_while_it_waits_may_be_stored() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        await parts.keep((b"newer", record(9)))
        peer.is_free.clear()
        serving = asyncio.ensure_future(serve(parts, put(b"k"), put(b"newer")))
        await asyncio.sleep(SOON_S / 4)
        await parts.views.adopt(successor(parts.views.current, A), A)
        assert await serving == (MAY_BE_STORED, Superseded(record(9).version))


@on_virtual_time
async def test_together_reads_no_more_than_is_to_be_held() -> None:
    parts = await node_a(A)
    large = b'"%b"' % (b"x" * together.READ_BYTES_MAX)
    await parts.keep((b"k", record(3, large)), (b"l", record(3)))
    assert await serve(parts, Read(b"k"), Read(b"l")) == (found(large, 3), LEFT)
    assert await serve(parts, Read(b"l"), Read(b"k")) == (found(b"1", 3), found(large, 3))


@on_virtual_time
async def test_together_in_one_transaction() -> None:
    parts = await node_a(A)
    keys = parts.own_keys(50)
    revision = parts.store.revision
    assert set(await serve(parts, *map(put, keys))) == {Wrote(False)}
    assert parts.store.revision == revision + 1
    assert all(parts.store.stats(partition_of(key)).live == 1 for key in keys)


@on_virtual_time
async def test_together_leaves_what_the_disk_does_not_give() -> None:
    parts = await node_a(A)
    await parts.keep((b"k", record(3)))
    parts.store.encoded = fail  # type: ignore[method-assign]
    assert await serve(parts, Read(b"k"), put(b"l")) == (LEFT, Wrote(False))


@on_virtual_time
async def test_together_whose_commit_failed_may_be_stored_and_with_no_room_is_left() -> None:
    parts = await node_a(A)
    parts.disk.failing = True
    assert await serve(parts, put(b"k"), put(b"l")) == (MAY_BE_STORED, MAY_BE_STORED)
    parts.disk.mend()
    parts.disk.full = True
    assert await serve(parts, put(b"k"), put(b"l")) == (LEFT, LEFT)


@on_virtual_time
async def test_together_that_cannot_be_relayed_may_be_stored() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        parts.streams.await_copies = fail  # type: ignore[method-assign]
        assert await serve(parts, put(b"k")) == (MAY_BE_STORED,)


def fail(*_: object, **__: object) -> Any:
    raise StorageFault("the disk fails")
