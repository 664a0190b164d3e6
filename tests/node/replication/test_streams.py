"""What goes from co-owner to co-owner: whatever changes at one is sent to the others, in order, until they have it."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import Address
from node.net.messages import NoRoom, Push, Replicate, Taken, Unable, ViewIs
from node.net.transport import answer_of
from ring.hashing import partition_of
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.replication.writing import KEY, SOON_S, put
from tests.node.samples import successor


def replicated(key: bytes, clock: int = 5) -> tuple[tuple[bytes, bytes], ...]:
    return ((key, record(clock).encode()),)


@on_virtual_time
async def test_stream_sends_nothing_of_an_earlier_view_once_another_is_in_force() -> None:
    """Not even in the turn in which that comes, before the streams have begun anew."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        state = parts.co_owners.get(B)
        assert state is not None
        confirmations = parts.streams._confirmations[state]
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        state.append(KEY, parts.time.monotonic())
        before = len(peer.sent)
        async with asyncio.timeout(SOON_S):
            await parts.streams._stream(state, confirmations)
        assert len(peer.sent) == before


# What a co-owner sends


@on_virtual_time
async def test_replicate_takes_what_is_newer_and_sends_it_no_further() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    others = [parts.co_owner(B), parts.co_owner(C)]
    await parts.keep((b"old", record(9)))
    async with parts.running():
        message = Replicate(replicated(KEY) + replicated(b"old"), relayed=False)
        assert await answer_of(parts.streams.replicate(B, message)) == Taken()
        await asyncio.sleep(SOON_S)
    assert (parts.held(KEY), parts.held(b"old")) == (record(5), record(9))
    assert [peer.sent for peer in others] == [[], []]


@on_virtual_time
async def test_replicate_relayed_is_taken_once_the_third_one_has_it() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    source, third = parts.co_owner(B), parts.co_owner(C)
    third.is_free.clear()
    async with parts.running():
        taking = asyncio.ensure_future(answer_of(parts.streams.replicate(B, Replicate(replicated(KEY), relayed=True))))
        await asyncio.sleep(SOON_S)
        assert parts.held(KEY) == record(5) and not taking.done()
        third.is_free.set()
        assert await taking == Taken()
    assert (source.sent, third.held[KEY]) == ([], record(5))


@on_virtual_time
async def test_replicate_relayed_of_what_is_here_already_sees_to_it_all_the_same() -> None:
    """It came from somebody else, who may not have told the third one."""
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    third = parts.co_owner(C)
    await parts.keep((KEY, record(5)))
    async with parts.running():
        message = Replicate(replicated(KEY), relayed=True)
        assert await answer_of(parts.streams.replicate(B, message)) == Taken()
    assert third.held[KEY] == record(5)


@pytest.mark.parametrize("relayed", [False, True])
@on_virtual_time
async def test_replicate_refuses_what_does_not_belong_here(relayed: bool) -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    (others,) = (shard for shard in parts.views.ring.shards if A not in shard)
    mine, theirs = parts.key_of(*{A, B, C, D} - {*others}), parts.key_of(*others)
    message = Replicate(replicated(mine) + replicated(theirs), relayed)
    assert await answer_of(parts.streams.replicate(B, message)) == Unable()
    assert parts.held(mine) is None and not parts.store.occupied


@on_virtual_time
async def test_replicate_refuses_what_is_no_record() -> None:
    parts = await node_a(A, B, repl_factor=2)
    message = Replicate((*replicated(KEY), (b"x", b"short")), relayed=False)
    assert await answer_of(parts.streams.replicate(B, message)) == Unable()
    assert not parts.store.occupied


@pytest.mark.parametrize("members", [(A, B), (B,)], ids=["still an owner", "an owner no more"])
@on_virtual_time
async def test_replicate_under_a_view_that_was_left_is_answered_with_the_present_one(
    members: tuple[Address, ...],
) -> None:
    parts = await node_a(A, B, repl_factor=2)
    answering = parts.streams.replicate(B, Replicate(replicated(KEY), relayed=False))
    await parts.views.adopt(successor(parts.views.current, *members), B)
    answer = await answer_of(answering)
    assert answer == ViewIs(parts.views.current.encoded)
    assert parts.held(KEY) is None


@on_virtual_time
async def test_replicate_on_a_full_disk_is_not_confirmed() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.disk.full = True
    assert await answer_of(parts.streams.replicate(B, Replicate(replicated(KEY), relayed=False))) == NoRoom()


# Streams


@on_virtual_time
async def test_stream_whatever_is_merged_goes_to_all_but_its_source() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    peers = {B: parts.co_owner(B), C: parts.co_owner(C)}
    async with parts.running():
        await parts.store.merge(parts.views.view_id, [(partition_of(KEY), KEY, record(5).encode())], exclude={B})
        assert await answer_of(parts.arrivals.push(C, Push(replicated(b"pushed"), b""))) == Taken()
        assert await answer_of(parts.arrivals.push(D, Push(replicated(b"donated"), b""))) == Taken()
        await asyncio.sleep(SOON_S)
    assert set(peers[B].held) == {b"pushed", b"donated"}
    assert set(peers[C].held) == {KEY, b"donated"}


@on_virtual_time
async def test_stream_sends_what_is_held_when_its_turn_has_come() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    peer.is_free.clear()
    async with parts.running():
        await put(parts, b"first")
        await asyncio.sleep(SOON_S)
        for clock in (5, 6, 7):
            await put(parts, KEY, clock, b"%d" % clock)
        peer.is_free.set()
        await asyncio.sleep(SOON_S)
    assert peer.keys_sent == [[b"first"], [KEY]]
    assert peer.held[KEY].value == b"7"


@on_virtual_time
async def test_stream_sends_again_what_was_not_confirmed() -> None:
    parts = await node_a(A, B, repl_factor=2)
    async with parts.running():
        for key in (b"a", b"b"):
            await put(parts, key)
        await asyncio.sleep(1.0)
        peer = parts.co_owner(B)
        await asyncio.sleep(SOON_S)
    assert peer.keys_sent == [[b"a", b"b"]]


@on_virtual_time
async def test_stream_messages_are_bounded() -> None:
    parts = await node_a(A, B, repl_factor=2)
    async with parts.running():
        for number in range(10):
            await put(parts, b"large%d" % number, value=b"x" * 100_000)
        await put(parts, b"huge", value=b"x" * 1_000_000)
        for number in range(300):
            await put(parts, b"small%d" % number)
        peer = parts.co_owner(B)
        await asyncio.sleep(1.0)
    assert [len(keys) for keys in peer.keys_sent] == [2, 2, 2, 2, 2, 1, 256, 44]


@on_virtual_time
async def test_stream_names_who_was_told_while_a_third_one_was_not() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    async with parts.running():
        await parts.store.merge(parts.views.view_id, [(partition_of(KEY), KEY, record(5).encode())])
        await asyncio.sleep(SOON_S)
    streamed = [request for to, request in parts.peers.asked if to == B and isinstance(request, Replicate)]
    assert streamed and {(request.relayed, request.told) for request in streamed} == {(False, (A, B))}


@on_virtual_time
async def test_replicate_takes_over_who_was_not_told() -> None:
    """Otherwise it would go on giving the third one leases."""
    parts = await node_a(A, B, C, repl_factor=3)
    source, third = parts.co_owner(B), parts.co_owner(C)
    async with parts.running():
        message = Replicate(replicated(KEY), False, (B, A))
        assert await answer_of(parts.streams.replicate(B, message)) == Taken()
        await asyncio.sleep(SOON_S)
    assert (source.sent, third.held[KEY]) == ([], record(5))
