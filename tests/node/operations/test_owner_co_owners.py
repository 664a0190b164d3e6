"""Whom an owner with co-owners asks before it acts, and when its writes are answered."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import LargeLate, TooManyCalls
from node.net.messages import (
    Answer,
    Copies,
    Fetch,
    Fetched,
    Heartbeat,
    HeartbeatAnswer,
    MayBeStored,
    NothingDeleted,
    ReadResult,
    Request,
    Superseded,
    Unable,
    ViewIs,
    Wrote,
)
from node.values.record import Record
from tests.node.fakes.peers import THEIR_ID
from tests.node.operations.asking import V5, found, read, write
from tests.node.parts import STORE_ID, A, B, C, node_a, on_virtual_time, record
from tests.node.samples import successor

GRANTED = HeartbeatAnswer(STORE_ID, False, False, True, False)
ON_ONE_OF_TWO = Wrote(False, copies=Copies(1, 2))


@on_virtual_time
async def test_read_with_all_leases_asks_nobody() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B, (b"k", record(3)))
    assert parts.owner.read_here(b"k") is None
    async with parts.running():
        await asyncio.sleep(0.2)
        assert parts.owner.read_here(b"k") == await read(parts, b"k") == ReadResult(None)
        assert await write(parts, b"k") == Wrote(False)
    assert parts.asked(Fetch) == []


@on_virtual_time
async def test_read_without_a_lease_the_newest_of_all_wins_and_is_kept_and_spread() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    older, newer = parts.co_owner(B, (b"k", record(3, b"3"))), parts.co_owner(C, (b"k", record(4, b"4")))
    older.lease_granted = newer.lease_granted = False
    await parts.keep((b"k", record(2, b"2")))
    async with parts.running():
        assert await read(parts, b"k") == found(b"4", 4)
        assert {peer for peer, _ in parts.asked(Fetch)} == {B, C}
        assert parts.held(b"k") == record(4, b"4")
        await asyncio.sleep(0.1)
    assert older.held[b"k"] == record(4, b"4")
    assert newer.sent == []


@on_virtual_time
async def test_read_only_those_without_a_lease_are_asked() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    parts.co_owner(C).lease_granted = False
    async with parts.running():
        await asyncio.sleep(0.2)
        assert await read(parts, b"k") == ReadResult(None)
    assert {peer for peer, _ in parts.asked(Fetch)} == {C}


@on_virtual_time
async def test_read_silent_co_owner_is_passed_over_for_a_hit_and_for_a_miss() -> None:
    parts = await node_a(A, B, repl_factor=2)
    await parts.keep((b"k", record(3)))
    parts.peers.silent.add(B)
    began = parts.time.monotonic()
    assert await read(parts, b"k") == found(b"1", 3)
    assert parts.time.monotonic() - began == pytest.approx(parts.config.silence_s)
    assert await read(parts, b"none") == ReadResult(None)
    assert parts.time.monotonic() - began == pytest.approx(parts.config.silence_s), "it is known to be down by now"


@on_virtual_time
async def test_read_at_the_first_start_what_no_co_owner_has_told_of_is_not_taken_for_nothing() -> None:
    """The disk may be a new one, and the co-owner merely slow."""
    parts = await node_a(A, B, repl_factor=2, is_filled=False)
    parts.peers.silent.add(B)
    assert await read(parts, b"k") == Unable()
    assert await write(parts, b"k") == Unable()
    await parts.keep((b"here", record(3)))
    assert await read(parts, b"here") == found(b"1", 3)
    await asyncio.sleep(3600.0)
    assert await read(parts, b"k") == Unable()


@on_virtual_time
async def test_read_at_the_first_start_of_all_what_is_not_here_is_nowhere() -> None:
    """They have told each other that they have nothing, then one falls silent."""
    parts = await node_a(A, B, repl_factor=2, is_filled=False)
    peer = parts.co_owner(B)
    peer.lease_granted, peer.is_empty = False, True
    async with parts.running():
        await asyncio.sleep(0.01)
        parts.peers.silent.add(B)
        assert await read(parts, b"k") == ReadResult(None)


@on_virtual_time
async def test_read_at_the_first_start_a_co_owner_that_is_heard_tells_enough() -> None:
    parts = await node_a(A, B, C, repl_factor=3, is_filled=False)
    parts.co_owner(B)
    parts.peers.silent.add(C)
    assert await read(parts, b"k") == ReadResult(None)


@on_virtual_time
async def test_read_lease_that_ends_while_others_are_asked_makes_it_ask_again() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    peer = parts.co_owner(B)
    parts.peers.silent.add(C)
    async with parts.running():
        await asyncio.sleep(0.01)
        reading = asyncio.create_task(read(parts, b"k"))
        await asyncio.sleep(0.01)
        assert {peer for peer, _ in parts.asked(Fetch)} == {C}
        peer.held[b"k"] = record(3)
        peer.lease_granted = False
        assert await reading == found(b"1", 3)


@on_virtual_time
async def test_read_co_owner_that_cannot_tell_is_asked_again_after_a_pause() -> None:
    parts = await node_a(A, B, repl_factor=2)
    answers: list[Answer] = [Unable(), Fetched(None)]
    parts.peers.script[B] = lambda _: answers.pop(0)
    began = parts.time.monotonic()
    assert await read(parts, b"k") == ReadResult(None)
    assert parts.time.monotonic() - began == pytest.approx(parts.config.retry_s)
    assert len(parts.asked(Fetch)) == 2


@on_virtual_time
async def test_write_without_a_lease_is_judged_by_what_the_co_owner_has() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B, (b"live", record(3)), (b"gone", record(3, None)), (b"newer", record(8))).lease_granted = False
    async with parts.running():
        assert await write(parts, b"live") == Wrote(True)
        assert await write(parts, b"gone") == Wrote(False)
        assert await write(parts, b"newer") == Superseded(record(8).version)
        assert await write(parts, b"none", None) == NothingDeleted()


@on_virtual_time
async def test_write_repeated_is_answered_as_the_first_once_the_co_owner_has_it() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B, (b"k", record(3)))
    peer.lease_granted = False
    async with parts.running():
        assert await write(parts, b"k") == Wrote(True)
        peer.is_free.clear()
        again = asyncio.create_task(write(parts, b"k"))
        await asyncio.sleep(0.1)
        assert not again.done()
        peer.is_free.set()
        assert await again == Wrote(True)


@on_virtual_time
async def test_write_that_came_by_the_co_owner_is_answered_as_there() -> None:
    """It was sent there first, and the answer was lost; this node has heard of it by the stream."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    await parts.keep((b"k", Record(V5, b"1", replaced=True)))
    async with parts.running():
        assert await write(parts, b"k") == Wrote(True)


@on_virtual_time
async def test_write_not_confirmed_in_time_may_be_stored() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).confirms = False
    async with parts.running():
        began = parts.time.monotonic()
        assert await write(parts, b"k") == MayBeStored()
        assert parts.time.monotonic() - began == pytest.approx(parts.config.request_s)


@on_virtual_time
async def test_write_when_the_view_changes_before_all_have_it_is_made_sure_of_under_the_new_one() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        writing = asyncio.create_task(write(parts, b"k"))
        await asyncio.sleep(0.1)
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        await asyncio.sleep(0.1)
        assert not writing.done()
        peer.is_free.set()
        assert await writing == Wrote(False)
    assert peer.held[b"k"].version == V5


@pytest.mark.parametrize("stays", [False, True], ids=["elsewhere", "superseded here"])
@on_virtual_time
async def test_write_when_the_view_changes_and_it_cannot_be_made_sure_of_may_be_stored(stays: bool) -> None:
    """Called refused, it would be stamped anew, and happen again after what has come in between."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).is_free.clear()
    async with parts.running():
        writing = asyncio.create_task(write(parts, b"k"))
        await asyncio.sleep(0.1)
        if stays:
            await parts.keep((b"k", record(8)))
        await parts.views.adopt(successor(parts.views.current, *([A, B] if stays else [B])), B)
        assert await writing == MayBeStored()


@on_virtual_time
async def test_write_at_a_pause_may_be_stored() -> None:
    """Others may have taken this node's place meanwhile, and not have seen the write."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        writing = asyncio.create_task(write(parts, b"k"))
        await asyncio.sleep(0.1)
        parts.readiness.pause()
        peer.is_free.set()
        assert await writing == MayBeStored()


@on_virtual_time
async def test_owner_that_may_not_act_is_unable() -> None:
    parts = await node_a(A, B)
    parts.readiness.is_ready = False
    key = parts.key_of(A)
    assert parts.owner.read_here(key) is None
    assert await read(parts, key) == await write(parts, key) == Unable()


@on_virtual_time
async def test_owner_of_another_shard_is_named_by_the_view() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(B)
    assert parts.owner.read_here(key) is None
    assert await read(parts, key) == await write(parts, key) == ViewIs(parts.views.current.encoded)


@on_virtual_time
async def test_owner_with_a_full_disk_refuses_writes_and_serves_reads() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B, (b"k", record(3))).lease_granted = False
    parts.disk.full = True
    assert await write(parts, b"k") == Unable()
    assert await read(parts, b"k") == found(b"1", 3)


@on_virtual_time
async def test_write_goes_on_without_a_co_owner_that_has_no_room_once_its_lease_has_ended() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        assert parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False)) == GRANTED
        peer.has_room = False
        began = parts.time.monotonic()
        assert await write(parts, b"first") == ON_ONE_OF_TWO
        assert parts.config.lease_s < parts.time.monotonic() - began < parts.config.lease_s + 0.1
        assert parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False)) != GRANTED
        began = parts.time.monotonic()
        assert await write(parts, b"second") == ON_ONE_OF_TWO
        assert parts.time.monotonic() - began < 0.1
        peer.has_room = True
        await asyncio.sleep(1.0)
        assert await write(parts, b"third") == Wrote(False)
        assert parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False)) == GRANTED
    assert set(peer.held) == {b"first", b"second", b"third"}


@on_virtual_time
async def test_write_goes_on_without_a_co_owner_whose_disk_hangs() -> None:
    """Its node answers everything else."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        assert parts.heartbeats.answer(B, Heartbeat(THEIR_ID, False)) == GRANTED
        peer.is_free.clear()
        began = parts.time.monotonic()
        assert await write(parts, b"first") == ON_ONE_OF_TWO
        assert parts.config.lease_s < parts.time.monotonic() - began < parts.config.confirm_s + 0.1
        assert not parts.peers.is_down(B)
        began = parts.time.monotonic()
        assert await write(parts, b"second") == ON_ONE_OF_TWO
        assert parts.time.monotonic() - began < 0.1
        peer.is_free.set()
        await asyncio.sleep(1.0)
        assert set(peer.held) == {b"first", b"second"}


@on_virtual_time
async def test_read_waits_for_no_disk_that_hangs() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B, (b"k", record(3))).lease_granted = False
    parts.disk.hung = True
    began = parts.time.monotonic()
    assert await read(parts, b"k") == found(b"1", 3)
    assert parts.time.monotonic() - began < parts.config.keep_s + 0.1
    await asyncio.sleep(parts.config.commit_s)
    began = parts.time.monotonic()
    assert await read(parts, b"k") == found(b"1", 3)
    assert parts.time.monotonic() - began < 0.1
    assert await write(parts, b"k") == Unable()


@on_virtual_time
async def test_read_that_finds_too_many_calls_under_way_says_nothing_about_who_was_not_asked() -> None:
    parts = await node_a(A, B, repl_factor=2)

    def too_many(_: Request) -> Answer:
        raise TooManyCalls("too many calls")

    parts.peers.script[B] = too_many
    assert await read(parts, b"k") == Unable()


@on_virtual_time
async def test_read_passes_nobody_over_whose_record_is_too_large_to_come_through() -> None:
    parts = await node_a(A, B, repl_factor=2)

    def lost(_: Request) -> Answer:
        raise LargeLate("lost for its size")

    parts.peers.script[B] = lost
    assert await read(parts, b"k") == Unable()
