"""When a node may answer alone, and when it lets a co-owner do so: the two ends of a lease."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from node.config import Config
from node.net.messages import Answer, Heartbeat, HeartbeatAnswer, Unable, ViewIs
from node.replication import outbox
from ring.hashing import partition_of
from tests.node.fakes import successor
from tests.node.parts import STORE_ID, THEIR_ID, A, B, C, Parts, node_a, on_virtual_time, record

EVERYTHING, OWING, NOT_YET = (
    HeartbeatAnswer(STORE_ID, False, False, lease_granted, owing)
    for lease_granted, owing in ((True, False), (False, True), (False, False))
)


# The end that asks


@on_virtual_time
async def test_lease_without_co_owners_none_is_needed() -> None:
    parts = await node_a(A, B)
    assert list(parts.pairs.unleased()) == []


@on_virtual_time
async def test_lease_none_before_the_first_answer() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(C)
    assert sorted(parts.pairs.unleased()) == [B, C]
    async with parts.running():
        await asyncio.sleep(0.01)
        assert list(parts.pairs.unleased()) == [B]


@on_virtual_time
async def test_lease_is_asked_for_again_and_again_by_the_store_id() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(1.01)
        assert list(parts.pairs.unleased()) == []
    assert parts.asked(Heartbeat) == [(B, Heartbeat(STORE_ID, False))] * 11


@on_virtual_time
async def test_lease_counts_from_when_the_question_was_sent_and_for_400_ms() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).delay_s = 0.3
    async with parts.running():
        await asyncio.sleep(0.299)
        assert list(parts.pairs.unleased()) == [B]
        await asyncio.sleep(0.1)
        assert list(parts.pairs.unleased()) == []
        await asyncio.sleep(0.002)
        assert list(parts.pairs.unleased()) == [B]


@on_virtual_time
async def test_lease_ends_with_the_answer_that_there_is_more() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.05)
        peer.lease_granted = False
        assert list(parts.pairs.unleased()) == []
        await asyncio.sleep(0.06)
        assert list(parts.pairs.unleased()) == [B]


@on_virtual_time
async def test_lease_is_dropped_at_a_pause() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B), parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(0.01)
        assert list(parts.pairs.unleased()) == []
        parts.readiness.pause()
        assert sorted(parts.pairs.unleased()) == [B, C]


@on_virtual_time
async def test_lease_is_given_up_by_who_stops() -> None:
    """Its co-owners acknowledge writes without it once it is gone."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.01)
        parts.pairs.stop()
        for _ in range(3):
            assert list(parts.pairs.unleased()) == [B]
            await asyncio.sleep(0.1)


@on_virtual_time
async def test_lease_of_the_view_before_does_not_count() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.01)
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        assert list(parts.pairs.unleased()) == [B]
        await asyncio.sleep(0.01)
        assert list(parts.pairs.unleased()) == []


@on_virtual_time
async def test_heartbeat_answered_with_a_later_view_makes_it_be_adopted() -> None:
    parts = await node_a(A, B, repl_factor=2)
    later = successor(parts.views.current, A, B)
    parts.peers.script[B] = lambda _: ViewIs(later.encoded)
    async with parts.running():
        await asyncio.sleep(0.2)
        assert parts.views.current == later
        assert list(parts.pairs.unleased()) == [B]


# The end that answers


def ask(parts: Parts, store_id: int = THEIR_ID) -> Answer:
    return parts.pairs.grant(B, Heartbeat(store_id, False))


async def change(parts: Parts, key: bytes, clock: int = 5) -> None:
    await parts.store.merge(parts.views.view_id, [(partition_of(key), key, record(clock).encode())])


@on_virtual_time
async def test_everything_is_not_said_before_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    assert ask(parts) == NOT_YET
    pair = parts.pairs.start_comparison(B)
    assert pair is not None and ask(parts) == OWING
    parts.pairs.end_comparison(pair, has_arrived=False)
    assert ask(parts) == NOT_YET
    parts.compare(B)
    assert ask(parts) == EVERYTHING


@on_virtual_time
async def test_everything_is_not_said_while_a_confirmation_is_owed_for_100_ms() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    await change(parts, b"k")
    began = parts.time.monotonic()
    assert ask(parts) == EVERYTHING
    await asyncio.sleep(0.099)
    assert ask(parts) == EVERYTHING
    await change(parts, b"k", 6)
    await asyncio.sleep(began + 0.101 - parts.time.monotonic())
    assert ask(parts) == OWING
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(0.05)
        assert ask(parts) == EVERYTHING


@on_virtual_time
async def test_everything_is_not_said_to_another_store_id() -> None:
    """Its disk was emptied: it lacks all that its predecessor was told to have."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    assert ask(parts) == EVERYTHING
    for _ in range(2):
        assert ask(parts, THEIR_ID + 1) == NOT_YET
    assert parts.pairs.out_of_step() == [B]
    parts.compare(B)
    assert ask(parts, THEIR_ID + 1) == EVERYTHING


@on_virtual_time
async def test_everything_is_not_said_to_a_store_that_came_in_the_middle_of_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    assert ask(parts) == NOT_YET
    pair = parts.pairs.start_comparison(B)
    assert pair is not None and ask(parts, THEIR_ID + 1) == OWING
    parts.pairs.end_comparison(pair, has_arrived=True)
    assert ask(parts, THEIR_ID + 1) == NOT_YET
    parts.compare(B)
    assert ask(parts, THEIR_ID + 1) == EVERYTHING


@on_virtual_time
async def test_everything_is_not_said_after_an_overflow() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    with patch.object(outbox, "ENTRIES_MAX", 2):
        for key in (b"a", b"b", b"c"):
            await change(parts, key)
    assert ask(parts) == OWING
    assert parts.pairs.out_of_step() == [B]


@on_virtual_time
async def test_everything_is_not_said_after_an_overflow_in_the_middle_of_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    pair = parts.pairs.start_comparison(B)
    assert pair is not None
    with patch.object(outbox, "ENTRIES_MAX", 2):
        for key in (b"a", b"b", b"c"):
            await change(parts, key)
    parts.pairs.end_comparison(pair, has_arrived=True)
    assert ask(parts) == OWING


@on_virtual_time
async def test_everything_is_not_said_under_a_new_view_before_another_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    old = parts.pairs.start_comparison(B)
    await parts.views.adopt(successor(parts.views.current, A, B), B)
    assert old is not None
    parts.pairs.end_comparison(old, has_arrived=True)
    assert ask(parts) == NOT_YET


@on_virtual_time
async def test_heartbeat_of_a_stranger_or_to_a_node_that_may_not_act_is_refused() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    assert parts.pairs.grant(C, Heartbeat(THEIR_ID, False)) == Unable()
    parts.readiness.is_ready = False
    assert ask(parts) == Unable()
    parts.readiness.is_ready = True
    assert ask(parts) == EVERYTHING
    parts.pairs.stop()
    assert ask(parts) == Unable()


@on_virtual_time
async def test_everything_is_not_said_for_a_moment_after_a_write_was_acknowledged_without_the_co_owner() -> None:
    """It was paused, and is back within the time that it would have had to confirm."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    await asyncio.sleep(1.0)
    async with parts.running():
        await change(parts, b"k")
        assert await parts.streams.everywhere([b"k"]) is False
        assert ask(parts) == OWING
        parts.co_owner(B)
        await asyncio.sleep(0.2)
        assert ask(parts) == EVERYTHING


# Whom to compare with


@on_virtual_time
async def test_comparison_is_due_with_who_is_out_of_step_and_can_be_reached() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    assert sorted(parts.pairs.out_of_step()) == [B, C]
    async with parts.running():
        assert parts.pairs.to_compare() == [], "nobody has said yet which store it is, nor what it is about to send"
        await asyncio.sleep(0.01)
        assert parts.pairs.to_compare() == [B]
        parts.co_owner(C)
        parts.compare(B)
        await asyncio.sleep(2 * parts.config.beat_s)
        assert parts.pairs.to_compare() == [C]


@on_virtual_time
async def test_comparison_that_began_with_another_store_counts_for_nothing() -> None:
    """Between this node's beats, and before the co-owner's first one."""
    parts = await node_a(A, B, repl_factor=2)
    answer = EVERYTHING
    parts.peers.script[B] = lambda _: answer
    async with parts.running():
        await asyncio.sleep(0.01)
        pair = parts.pairs.start_comparison(B)
        assert pair is not None
        answer = HeartbeatAnswer(THEIR_ID, False, False, True, False)
        await asyncio.sleep(parts.config.beat_s)
        parts.pairs.end_comparison(pair, has_arrived=True)
        assert parts.pairs.out_of_step() == [B]


@on_virtual_time
async def test_comparison_waits_for_what_the_co_owner_is_about_to_send() -> None:
    parts = await node_a(A, B, repl_factor=2)
    answer = OWING
    parts.peers.script[B] = lambda _: answer
    async with parts.running():
        await asyncio.sleep(0.01)
        assert parts.pairs.to_compare() == []
        answer = EVERYTHING
        await asyncio.sleep(0.1)
        assert parts.pairs.to_compare() == [B]


@on_virtual_time
async def test_comparison_waits_for_that_of_a_co_owner_that_has_forgotten_what_this_node_missed() -> None:
    """What is listed to one that has just got it is listed in vain."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    with patch.object(outbox, "ENTRIES_MAX", 1):
        await change(parts, b"k")
        await change(parts, b"l")
    assert ask(parts) == OWING
    pair = parts.pairs.start_comparison(B)
    assert pair is not None and ask(parts) == OWING
    parts.pairs.end_comparison(pair, has_arrived=False)
    assert ask(parts) == NOT_YET, "who cannot bring what it has keeps nobody else from it"


@on_virtual_time
async def test_comparison_of_one_that_has_forgotten_waits_for_nobody() -> None:
    """Until it has begun, nothing that is written can be confirmed."""
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    parts.peers.script[B] = lambda _: OWING
    async with parts.running(parts.pairs.run()):
        await asyncio.sleep(0.01)
        with patch.object(outbox, "ENTRIES_MAX", 1):
            await change(parts, b"k")
            assert parts.pairs.to_compare() == []
            await change(parts, b"l")
        assert parts.pairs.to_compare() == [B]


def test_leases_outlast_several_heartbeats_and_end_before_a_write_is_given_up() -> None:
    config = Config.for_test(A, (A,), __file__)  # type: ignore[arg-type]
    assert 3 * config.beat_s < config.lease_s < config.silence_s
