"""When a write is acknowledged: once every co-owner has it, or was left out and can hold no lease."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Fenced
from node.net.messages import Heartbeat, Replicate, Unable, ViewIs
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time
from tests.node.replication.writing import KEY, SOON_S, put
from tests.node.samples import successor


def acknowledged(parts: Parts, *keys: bytes, earliest: float = 0.0) -> asyncio.Task[float]:
    """When the write would be acknowledged."""

    async def copied() -> float:
        await parts.streams.await_copies(keys or [KEY], earliest=earliest)
        return parts.time.monotonic()

    return asyncio.create_task(copied())


# Acknowledging a write


@on_virtual_time
async def test_write_without_co_owners_is_acknowledged_at_once() -> None:
    parts = await node_a(A)
    await put(parts)
    await acknowledged(parts)


@on_virtual_time
async def test_write_is_acknowledged_once_the_co_owner_has_confirmed() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        await asyncio.sleep(0.3)
        assert peer.keys_sent == [[KEY]] and not waiting.done()
        peer.is_free.set()
        await asyncio.sleep(0)
        await waiting
    assert peer.held[KEY] == parts.held(KEY)


@on_virtual_time
async def test_write_is_acknowledged_once_all_co_owners_have_confirmed() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    peers = [parts.co_owner(B), parts.co_owner(C)]
    for peer in peers:
        peer.is_free.clear()
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        for peer in peers:
            await asyncio.sleep(SOON_S)
            assert not waiting.done()
            peer.is_free.set()
        await waiting


@on_virtual_time
async def test_write_co_owner_that_refuses_but_is_up_is_waited_for() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.confirms = False
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        await asyncio.sleep(2.0)
        assert not waiting.done()
        peer.confirms = True
        await waiting


@on_virtual_time
async def test_write_co_owner_that_is_down_is_left_out_400_ms_after_the_last_lease() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    await asyncio.sleep(1.0)
    async with parts.running():
        parts.heartbeats.answer(B, Heartbeat(7, False))
        granted_at = parts.time.monotonic()
        await put(parts)
        assert await acknowledged(parts) == pytest.approx(granted_at + 0.4, abs=SOON_S)
        assert parts.time.monotonic() > granted_at + 0.4


@on_virtual_time
async def test_write_co_owner_that_is_down_and_has_no_lease_is_left_out_at_once() -> None:
    parts = await node_a(A, B, repl_factor=2)
    await asyncio.sleep(1.0)
    async with parts.running():
        await put(parts)
        began = parts.time.monotonic()
        assert await acknowledged(parts) == began


@on_virtual_time
async def test_write_right_after_a_view_change_nobody_is_left_out() -> None:
    """Leases of the view before still count, and this node does not know of all of them."""
    parts = await node_a(A, B, repl_factor=2)
    await asyncio.sleep(1.0)
    async with parts.running():
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        began = parts.time.monotonic()
        await put(parts)
        assert await acknowledged(parts) > began + 0.4 - SOON_S


@on_virtual_time
async def test_write_co_owner_that_falls_silent_is_left_out_in_time() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        parts.heartbeats.answer(B, Heartbeat(7, False))
        parts.peers.silent.add(B)
        began = parts.time.monotonic()
        await put(parts)
        waited = await acknowledged(parts) - began
    assert parts.config.lease_s < waited < parts.config.attempt_s


@on_virtual_time
async def test_write_whose_entry_a_comparison_took_over_is_given_up_too() -> None:
    """The co-owner falls silent in the middle of the comparison, and there is nothing left to be sent to it."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).is_free.clear()
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        await asyncio.sleep(1.0)
        parts.streams.begin_comparison(B)
        parts.peers.silent.add(B)
        async with asyncio.timeout(1.0):
            await waiting


@on_virtual_time
async def test_write_in_flight_when_a_comparison_begins_waits_for_its_own_key_only() -> None:
    """A comparison may take seconds."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.confirms = False
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        await asyncio.sleep(SOON_S)
        parts.streams.begin_comparison(B)
        peer.confirms = True
        async with asyncio.timeout(1.0):
            await waiting
        assert KEY in peer.held


@on_virtual_time
async def test_write_is_not_left_out_before_the_earliest_moment() -> None:
    parts = await node_a(A, B, repl_factor=2)
    await asyncio.sleep(1.0)
    earliest = parts.time.monotonic() + 0.7
    async with parts.running():
        await put(parts)
        assert await acknowledged(parts, earliest=earliest) == pytest.approx(earliest)


@on_virtual_time
async def test_write_repeated_is_confirmed_anew() -> None:
    """What was confirmed long ago may have been on a disk that is gone."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await put(parts)
        await acknowledged(parts)
        await acknowledged(parts)
    assert peer.keys_sent == [[KEY], [KEY]]


# Two co-owners, one of which is left out


@on_virtual_time
async def test_write_left_out_by_one_the_other_gets_it_again_relayed() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    other = parts.co_owner(C)
    await asyncio.sleep(1.0)
    async with parts.running():
        await put(parts)
        await acknowledged(parts)
    assert [(message.relayed, message.records[0][0]) for message in other.sent] == [(False, KEY), (True, KEY)]


@on_virtual_time
async def test_write_left_out_by_one_waits_until_the_other_has_seen_to_it() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    other = parts.co_owner(C)
    await asyncio.sleep(1.0)
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        while len(other.sent) < 2:
            await asyncio.sleep(0.001)
        other.is_free.clear()
        await asyncio.sleep(SOON_S)
        assert other.sent[-1].relayed and not waiting.done()
        other.is_free.set()
        await waiting


@on_virtual_time
async def test_write_left_out_by_both_is_acknowledged_by_one_alone() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    await asyncio.sleep(1.0)
    async with parts.running():
        await put(parts)
        await acknowledged(parts)


# Views


@on_virtual_time
async def test_write_waiting_when_the_view_changes_is_fenced() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).is_free.clear()
    async with parts.running():
        await put(parts)
        waiting = acknowledged(parts)
        await asyncio.sleep(SOON_S)
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        with pytest.raises(Fenced):
            await waiting


@on_virtual_time
async def test_stream_answered_with_a_later_view_makes_it_be_adopted() -> None:
    parts = await node_a(A, B, repl_factor=2)
    later = successor(parts.views.current, A, B)
    parts.peers.script[B] = lambda request: ViewIs(later.encoded) if isinstance(request, Replicate) else Unable()
    async with parts.running():
        await put(parts)
        await asyncio.sleep(SOON_S)
        assert parts.views.current == later


@on_virtual_time
async def test_write_of_which_one_more_is_left_out_while_it_is_relayed_is_relayed_anew() -> None:
    """The third one is told of both: it might go on giving the second one leases."""
    parts = await node_a(A, B, C, D, repl_factor=4)
    second, third = parts.co_owner(C), parts.co_owner(D)
    await asyncio.sleep(1.0)
    async with parts.running():
        await put(parts)
        second.is_free.clear()
        waiting = acknowledged(parts)
        await asyncio.sleep(SOON_S)
        parts.peers.script.pop(C)
        second.is_free.set()
        await waiting
    told = [message.told for message in third.sent if message.relayed]
    assert len(told) >= 2 and C in told[0] and C not in told[-1]


@on_virtual_time
async def test_all_that_is_to_be_sent_is_waited_for_and_who_was_left_out_is_told() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        await put(parts)
        waiting = asyncio.ensure_future(parts.streams.await_outboxes())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        peer.is_free.set()
        assert await waiting == {C}


@on_virtual_time
async def test_write_of_a_key_that_belongs_to_others_by_now_comes_into_no_outbox() -> None:
    """The view has changed since its caller looked. The co-owner would refuse it, and all that comes behind it."""
    parts = await node_a(A, B, C, D, repl_factor=2)
    (state,) = parts.co_owners.all()
    with pytest.raises(Fenced):
        async with asyncio.timeout(SOON_S):
            await parts.streams.await_copies([parts.key_of(A, state.address), parts.foreign_key()], are_noted=False)
    assert not state.outbox
