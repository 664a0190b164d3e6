"""What an owner finds out about a key from others, and what it may then tell."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import LargeLate, TooManyCalls
from node.net.messages import Answer, Fetch, Fetched, Foreign, Request, Unable
from node.operations.inquiry import Inquiry, NewAttempt, Newest
from node.operations.sightings import NOBODY_ASKED, Sightings
from ring.hashing import partition_of
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

KEY = b"k"
PARTITION = partition_of(KEY)
SOON_S = 0.2
"""Leases, commits and messages."""


def inquiry_of(parts: Parts) -> Inquiry:
    return Inquiry(parts.config, parts.store, parts.views, parts.readiness, parts.co_owners, parts.streams, parts.calls)


async def found(parts: Parts, *peers: str) -> Sightings | NewAttempt:
    return await inquiry_of(parts).find_out(set(peers), PARTITION, KEY, parts.views.view_id)


# Whom to ask


@on_virtual_time
async def test_not_synced_with_are_those_of_whom_there_is_no_lease_and_the_donors_of_the_partition() -> None:
    parts = await node_a(A, B, repl_factor=2)
    inquiry = inquiry_of(parts)
    parts.co_owner(B)
    assert inquiry.not_synced_with(PARTITION) == {B} and not inquiry.is_synced
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert inquiry.not_synced_with(PARTITION) == set() and inquiry.is_synced
        parts.wait_for(C, KEY)
        assert inquiry.not_synced_with(PARTITION) == {C} and not inquiry.is_synced
        assert inquiry.not_synced_with(PARTITION ^ 1) == set()


# What they say


@on_virtual_time
async def test_find_out_asks_all_at_once_and_waits_for_the_last() -> None:
    parts = await node_a(A)
    parts.co_owner(B, (KEY, record(3)))

    async def slow(_: Request) -> Answer:
        await asyncio.sleep(SOON_S)
        return Fetched(record(4).encode())

    parts.peers.script[C] = slow
    finding = asyncio.create_task(found(parts, B, C))
    await asyncio.sleep(SOON_S / 2)
    assert sorted(node for node, _ in parts.asked(Fetch)) == [B, C] and not finding.done()
    sightings = await finding
    assert isinstance(sightings, Sightings)
    assert (sightings.newest, sightings.source, sightings.heard) == (record(4), C, {B, C})


@on_virtual_time
async def test_find_out_takes_one_of_another_cluster_for_silent() -> None:
    parts = await node_a(A)
    parts.peers.script[C] = lambda _: Foreign()
    sightings = await found(parts, C)
    assert isinstance(sightings, Sightings)
    assert sightings.unheard == {C} and sightings.is_donor_silent


@pytest.mark.parametrize("fault", [TooManyCalls("too many"), LargeLate("too large")])
@on_virtual_time
async def test_find_out_is_tried_again_where_the_peer_is_there(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = await node_a(A)

    async def fail(*_: object) -> Answer:
        raise fault

    monkeypatch.setattr(parts.calls, "ask_patiently", fail)
    assert await found(parts, B) == NewAttempt(parts.config.retry_s)


@on_virtual_time
async def test_find_out_is_tried_again_where_a_node_of_the_view_could_not_tell() -> None:
    parts = await node_a(A, B)
    parts.peers.script[B] = lambda _: Unable()
    assert await found(parts, B) == NewAttempt(parts.config.retry_s)


@pytest.mark.parametrize("meanwhile", ["nothing", "another view", "another donor", "a pause"])
@on_virtual_time
async def test_find_out_is_begun_anew_if_others_had_to_be_asked_by_then(meanwhile: str) -> None:
    parts = await node_a(A)

    async def slow(_: Request) -> Answer:
        await asyncio.sleep(SOON_S)
        return Fetched(None)

    parts.peers.script[B] = slow
    finding = asyncio.create_task(found(parts, B))
    await asyncio.sleep(SOON_S / 2)
    match meanwhile:
        case "another view":
            await parts.views.adopt(successor(parts.views.current, A), A)
        case "another donor":
            parts.wait_for(C, KEY)
        case "a pause":
            parts.readiness.pause()
    assert (await finding == NewAttempt()) is (meanwhile != "nothing")


# What may be told of it


def test_newest_deletion_has_no_version_that_could_be_told() -> None:
    assert Newest(record(3), A).version(0) == record(3).version
    assert Newest(record(3, None), A).version(0) is None and Newest(None, A).version(0) is None
    expiring = record(3)._replace(expires_ms=900)
    assert Newest(expiring, A).version(899) == expiring.version and Newest(expiring, A).version(900) is None


@on_virtual_time
async def test_newest_of_what_another_has_is_kept_here_first() -> None:
    parts = await node_a(A)
    await parts.keep((KEY, record(3)))
    inquiry, view_id = inquiry_of(parts), parts.views.view_id
    seen = Sightings(record(4), C, True, (C,), {C})
    assert await inquiry.newest(view_id, PARTITION, KEY, seen) == Newest(record(4), A)
    assert parts.held(KEY) == record(4)
    older = Sightings(record(3), C, True, (C,), {C})
    assert await inquiry.newest(view_id, PARTITION, KEY, older) == Newest(record(4), A)
    assert await inquiry.newest(view_id, PARTITION ^ 1, b"none", NOBODY_ASKED) == Newest(None, A)


@on_virtual_time
async def test_newest_waits_until_the_co_owner_has_it() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        peer.is_free.clear()
        await parts.change(KEY)
        telling = asyncio.create_task(inquiry_of(parts).newest(parts.views.view_id, PARTITION, KEY, NOBODY_ASKED))
        await asyncio.sleep(SOON_S)
        assert not telling.done()
        peer.is_free.set()
        assert await telling == Newest(record(5), A) and peer.held[KEY] == record(5)


# What this node tells another owner


@pytest.mark.parametrize("is_filled", [True, False])
@on_virtual_time
async def test_answer_is_what_is_held_and_whether_something_may_be_lacking(is_filled: bool) -> None:
    parts = await node_a(A, B, repl_factor=2, is_filled=is_filled)
    watermark = parts.store.stable_watermark
    assert inquiry_of(parts).answer(KEY) == Fetched(None, watermark, not is_filled)
    await parts.keep((KEY, record(3)))
    assert inquiry_of(parts).answer(KEY) == Fetched(record(3).encode(), watermark, not is_filled)
