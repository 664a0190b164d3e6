"""When a node may answer alone, and when it lets a co-owner do so: the two ends of a lease."""

from __future__ import annotations

import asyncio
import logging
from unittest.mock import patch

import pytest

from node.net.messages import Answer, Heartbeat, HeartbeatAnswer, Unable, ViewIs
from node.replication import outbox
from tests.node.fakes.peers import THEIR_ID
from tests.node.parts import STORE_ID, A, B, C, Parts, node_a, on_virtual_time
from tests.node.samples import successor

GRANTED, OWING, REFUSED = (
    HeartbeatAnswer(STORE_ID, False, False, lease_granted, owing)
    for lease_granted, owing in ((True, False), (False, True), (False, False))
)


# The end that asks


@on_virtual_time
async def test_lease_without_co_owners_none_is_needed() -> None:
    parts = await node_a(A, B)
    assert list(parts.co_owners.unleased()) == []


@on_virtual_time
async def test_lease_none_before_the_first_answer() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(C)
    assert sorted(parts.co_owners.unleased()) == [B, C]
    async with parts.running():
        await asyncio.sleep(0.01)
        assert list(parts.co_owners.unleased()) == [B]


@on_virtual_time
async def test_lease_is_asked_for_again_and_again_by_the_store_id() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(1.01)
        assert list(parts.co_owners.unleased()) == []
    assert parts.asked(Heartbeat) == [(B, Heartbeat(STORE_ID, False))] * 11


@on_virtual_time
async def test_lease_counts_from_when_the_question_was_sent_and_for_400_ms() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).delay_s = 0.3
    async with parts.running():
        await asyncio.sleep(0.299)
        assert list(parts.co_owners.unleased()) == [B]
        await asyncio.sleep(0.1)
        assert list(parts.co_owners.unleased()) == []
        await asyncio.sleep(0.002)
        assert list(parts.co_owners.unleased()) == [B]


@on_virtual_time
async def test_lease_ends_with_the_answer_that_there_is_more() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.05)
        peer.lease_granted = False
        assert list(parts.co_owners.unleased()) == []
        await asyncio.sleep(0.06)
        assert list(parts.co_owners.unleased()) == [B]


@on_virtual_time
async def test_lease_is_dropped_at_a_pause() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B), parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(0.01)
        assert list(parts.co_owners.unleased()) == []
        parts.readiness.pause()
        assert sorted(parts.co_owners.unleased()) == [B, C]


@on_virtual_time
async def test_lease_is_given_up_by_who_stops() -> None:
    """Its co-owners acknowledge writes without it once it is gone."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.01)
        parts.co_owners.stop()
        for _ in range(3):
            assert list(parts.co_owners.unleased()) == [B]
            await asyncio.sleep(0.1)


@on_virtual_time
async def test_lease_of_the_view_before_does_not_count() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.01)
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        assert list(parts.co_owners.unleased()) == [B]
        await asyncio.sleep(0.01)
        assert list(parts.co_owners.unleased()) == []


@on_virtual_time
async def test_heartbeat_answered_with_a_later_view_makes_it_be_adopted() -> None:
    parts = await node_a(A, B, repl_factor=2)
    later = successor(parts.views.current, A, B)
    parts.peers.script[B] = lambda _: ViewIs(later.encoded)
    async with parts.running():
        await asyncio.sleep(0.2)
        assert parts.views.current == later
        assert list(parts.co_owners.unleased()) == [B]


# The end that answers


def ask(parts: Parts, store_id: int = THEIR_ID) -> Answer:
    return parts.heartbeats.answer(B, Heartbeat(store_id, False))


@on_virtual_time
async def test_lease_is_not_given_before_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    assert ask(parts) == REFUSED
    state = parts.streams.begin_comparison(B)
    assert state is not None and ask(parts) == OWING
    parts.streams.end_comparison(state, has_arrived=False)
    assert ask(parts) == REFUSED
    parts.compare(B)
    assert ask(parts) == GRANTED


@on_virtual_time
async def test_lease_is_not_given_while_a_confirmation_is_owed_for_100_ms() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    await parts.change(b"k")
    began = parts.time.monotonic()
    assert ask(parts) == GRANTED
    await asyncio.sleep(0.099)
    assert ask(parts) == GRANTED
    await parts.change(b"k", 6)
    await asyncio.sleep(began + 0.101 - parts.time.monotonic())
    assert ask(parts) == OWING
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.05)
        assert ask(parts) == GRANTED


@on_virtual_time
async def test_lease_is_not_given_to_another_store_id() -> None:
    """Its disk was emptied: it lacks all that its predecessor was told to have."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    assert ask(parts) == GRANTED
    for _ in range(2):
        assert ask(parts, THEIR_ID + 1) == REFUSED
    assert parts.co_owners.out_of_step() == [B]
    parts.compare(B)
    assert ask(parts, THEIR_ID + 1) == GRANTED


@on_virtual_time
async def test_lease_is_not_given_to_a_store_that_came_in_the_middle_of_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    assert ask(parts) == REFUSED
    state = parts.streams.begin_comparison(B)
    assert state is not None and ask(parts, THEIR_ID + 1) == OWING
    parts.streams.end_comparison(state, has_arrived=True)
    assert ask(parts, THEIR_ID + 1) == REFUSED
    parts.compare(B)
    assert ask(parts, THEIR_ID + 1) == GRANTED


@on_virtual_time
async def test_lease_is_not_given_after_an_overflow() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    with patch.object(outbox, "ENTRIES_MAX", 2):
        for key in (b"a", b"b", b"c"):
            await parts.change(key)
    assert ask(parts) == OWING
    assert parts.co_owners.out_of_step() == [B]


@on_virtual_time
async def test_lease_is_not_given_after_an_overflow_in_the_middle_of_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    state = parts.streams.begin_comparison(B)
    assert state is not None
    with patch.object(outbox, "ENTRIES_MAX", 2):
        for key in (b"a", b"b", b"c"):
            await parts.change(key)
    parts.streams.end_comparison(state, has_arrived=True)
    assert ask(parts) == OWING


@on_virtual_time
async def test_lease_is_not_given_under_a_new_view_before_another_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    old = parts.streams.begin_comparison(B)
    await parts.views.adopt(successor(parts.views.current, A, B), B)
    assert old is not None
    parts.streams.end_comparison(old, has_arrived=True)
    assert ask(parts) == REFUSED


@on_virtual_time
async def test_heartbeat_of_a_stranger_or_to_a_node_that_may_not_act_is_refused() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    assert parts.heartbeats.answer(C, Heartbeat(THEIR_ID, False)) == Unable()
    parts.readiness.is_ready = False
    assert ask(parts) == Unable()
    parts.readiness.is_ready = True
    assert ask(parts) == GRANTED
    parts.co_owners.stop()
    assert ask(parts) == Unable()


@on_virtual_time
async def test_lease_is_not_given_to_one_without_which_a_write_was_acknowledged() -> None:
    """It was paused, and is back within the time that it would have had to confirm."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    await asyncio.sleep(1.0)
    async with parts.running():
        await parts.change(b"k")
        assert await parts.streams.await_copies([b"k"]) == {B}
        assert ask(parts) == OWING
        parts.co_owner(B)
        await asyncio.sleep(0.2)
        assert ask(parts) == GRANTED


@on_virtual_time
async def test_comparison_that_began_with_another_store_counts_for_nothing() -> None:
    """Between this node's heartbeats, and before the co-owner's first one."""
    parts = await node_a(A, B, repl_factor=2)
    answer = GRANTED
    parts.peers.script[B] = lambda _: answer
    async with parts.running():
        await asyncio.sleep(0.01)
        state = parts.streams.begin_comparison(B)
        assert state is not None
        answer = HeartbeatAnswer(THEIR_ID, False, False, True, False)
        await asyncio.sleep(parts.config.heartbeat_s)
        parts.streams.end_comparison(state, has_arrived=True)
        assert parts.co_owners.out_of_step() == [B]


@on_virtual_time
async def test_new_disk_whose_co_owner_cannot_be_reached_is_told_of_once_and_not_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = await node_a(A, B, repl_factor=2, is_filled=False)
    parts.peers.silent.add(B)
    with caplog.at_level(logging.INFO, "node.state_log"):
        async with parts.running():
            await asyncio.sleep(parts.config.empty_wait_s)
            assert not caplog.messages
            await asyncio.sleep(5.0)
            begun = [f"this disk is new: {B} may have what is not on it, and cannot be reached"]
            assert caplog.messages == begun
            parts.peers.silent.clear()
            parts.co_owner(B)
            await asyncio.sleep(1.0)
    assert caplog.messages == [*begun, f"{B} can be reached: this disk is not waiting for it any more"]
