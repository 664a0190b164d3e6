"""What is sent to whom when a node brings what it holds to others, and when it may forget it."""

from __future__ import annotations

import asyncio

import pytest

from node.config import VALUE_BYTES_MAX
from node.net.messages import Answer, Compare, Differing, Offer, Push, Request, Unable, Wanted
from node.repair import transfer
from node.values.version import clock_of
from ring.hashing import partition_of, unpack
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.repair.bringing import SlowLink, bring, digest, some, taker

# What is sent


@on_virtual_time
async def test_transfer_equal_partitions_are_not_read_and_send_nothing_but_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = await some(parts, 5, A, B)
    peer = taker(parts, B, equal=keys)
    monkeypatch.setattr(parts.store, "scan", None)
    assert await bring(parts, keys, B)
    assert (peer.offered, peer.pushed) == ([], [])
    assert sorted(peer.finished) == list(map(partition_of, keys))


@on_virtual_time
async def test_transfer_empty_partitions_get_every_record_without_an_offer() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = await some(parts, 5, A, B)
    peer = taker(parts, B)
    assert await bring(parts, keys, B)
    assert peer.offered == [] and sorted(peer.pushed) == sorted(keys)
    assert all(peer.held[key] == parts.held(key) for key in keys)


@on_virtual_time
async def test_transfer_different_partitions_get_only_what_is_wanted() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = await some(parts, 3, A, B)
    older, newer, missing = keys
    peer = taker(parts, B, different=[(older, record(4)), (newer, record(6))])
    assert await bring(parts, keys, B)
    assert sorted(peer.offered) == sorted([older, newer])
    assert sorted(peer.pushed) == sorted([older, missing])
    assert peer.held[newer] == record(6)


@on_virtual_time
async def test_transfer_of_what_is_newer_offers_nothing_else() -> None:
    """Of what the peer holds as it is here, and of what it holds nothing of, nothing is said at all."""
    parts = await node_a(A, B, repl_factor=2)
    equal, _, older, newer = keys = await some(parts, 4, A, B)
    beside = next(key for key in parts.keys_of(A, B) if partition_of(key) == partition_of(newer) and key != newer)
    await parts.keep((newer, record(20)), (older, record(6)), (beside, record(9)))
    peer = taker(parts, B, equal=[equal], different=[(older, record(4)), (newer, record(5))])
    clock = clock_of(record(9).version)
    await parts.transfers.bring_newer(B, sorted(map(partition_of, keys)), parts.views.view_id, clock)
    assert (peer.offered, peer.pushed, peer.finished) == ([newer], [newer], [])
    assert peer.held[newer] == record(20)


@on_virtual_time
async def test_transfer_of_what_is_newer_is_in_batches_like_any_other() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = [key for key in (b"k%d" % n for n in range(300_000)) if partition_of(key) == 7][:20]
    await parts.keep(*((key, record(5, b"x" * 20_000)) for key in keys))
    peer = taker(parts, B, different=[(keys[0], record(4))])
    await parts.transfers.bring_newer(B, [7], parts.views.view_id, 0)
    pushes = [request for _, request in parts.asked(Push)]
    assert sorted(peer.pushed) == sorted(keys)
    assert max(sum(len(encoded) for _, encoded in push.records) for push in pushes) <= 2 * parts.config.batch_bytes


@on_virtual_time
async def test_transfer_each_of_several_gets_what_it_lacks() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    first, second = keys = await some(parts, 2, A, B, C)
    one, other = taker(parts, B, equal=[first]), taker(parts, C, equal=[second])
    assert await bring(parts, keys, B, C)
    assert (one.pushed, other.pushed) == ([second], [first])


@on_virtual_time
async def test_transfer_of_nothing_asks_nothing_but_the_comparison() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = taker(parts, B)
    assert await bring(parts, [], B)
    assert peer.pushes == 0


@on_virtual_time
async def test_transfer_batches_are_bounded_and_a_partition_ends_with_its_last() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = [key for key in (b"k%d" % n for n in range(300_000)) if partition_of(key) == 7][:20]
    await parts.keep(*((key, record(5, b"x" * 20_000)) for key in keys))
    peer = taker(parts, B)
    assert await bring(parts, keys[:1], B)
    pushes = [request for _, request in parts.asked(Push)]
    assert sorted(peer.pushed) == sorted(keys)
    assert max(sum(len(encoded) for _, encoded in push.records) for push in pushes) <= parts.config.batch_bytes + 20_100
    assert [unpack(push.finished) for push in pushes] == [()] * (len(pushes) - 1) + [(7,)]


@on_virtual_time
async def test_transfer_what_the_first_has_passed_on_is_not_brought_to_the_second() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    first, second = next(shard for shard in parts.views.ring.shards if A not in shard)
    keys = await some(parts, 5, first, second)
    one, other = taker(parts, first), taker(parts, second)

    async def pass_on(request: Request) -> Answer:
        answer = await one(request)
        if isinstance(request, Push):
            other.held |= one.held
            other.digest_of = {key: digest(parts, key) for key in other.held}
        return answer

    parts.peers.script[first] = pass_on
    assert await bring(parts, keys, first, second, forget=True)
    assert sorted(one.pushed) == sorted(keys) and (other.offered, other.pushed) == ([], [])
    assert sorted(other.finished) == sorted(map(partition_of, keys)), "it hears all the same that this was all"
    assert not parts.store.occupied


@on_virtual_time
async def test_transfer_what_another_donor_has_brought_meanwhile_is_not_brought_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer, "CHUNK_RECORDS", 1)
    parts = await node_a(A, B, C, D, repl_factor=2)
    owners = next(shard for shard in parts.views.ring.shards if A not in shard)
    keys = await some(parts, 6, *owners)
    takers = [taker(parts, owner) for owner in owners]
    takers[0].is_free.clear()
    bringing = asyncio.ensure_future(bring(parts, keys, *owners, forget=True))
    while takers[0].pushes < transfer.SHARED_LANES:
        await asyncio.sleep(0.001)
    for taking in takers:
        taking.held = {key: record(5) for key in keys}
        taking.digest_of = {key: digest(parts, key) for key in keys}
    takers[0].is_free.set()
    assert await bringing
    assert len(takers[0].pushed) == transfer.SHARED_LANES and takers[1].pushed == []
    assert not parts.store.occupied


@on_virtual_time
async def test_transfer_to_a_co_owner_does_not_wait_for_its_turn_behind_what_is_handed_over() -> None:
    """Writes may wait for the end of the comparison."""
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    co_owner = next(owner for owner in parts.views.ring.co_owners(A))
    misplaced, own = await some(parts, 5, *others), await some(parts, 5, A, co_owner)
    slow, quick = taker(parts, others[0]), taker(parts, co_owner)
    slow.is_free.clear()
    parts.transfers._clients_served = lambda: True
    handing = asyncio.ensure_future(bring(parts, misplaced, others[0], forget=True))
    while not slow.pushes:
        await asyncio.sleep(0.001)
    assert await bring(parts, own, co_owner)
    assert sorted(quick.pushed) == sorted(own) and not handing.done()
    slow.is_free.set()
    assert await handing


@on_virtual_time
async def test_transfer_rests_no_longer_than_its_bound_after_a_disk_that_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "CHUNK_RECORDS", 1)
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    taker(parts, B)
    parts.transfers._clients_served = lambda: True
    parts.disk.sync_s = 30.0
    began = parts.time.monotonic()
    bringing = asyncio.ensure_future(bring(parts, keys, B, forget=True))
    await asyncio.sleep(1.0)
    parts.disk.sync_s = 0.001
    while all(parts.held(key) for key in keys):
        await asyncio.sleep(0.01)
    went_on_at = parts.time.monotonic()
    assert went_on_at - began > 10
    assert await bringing
    assert parts.time.monotonic() - went_on_at < 1 + 3 * parts.config.transfer_rest_s_max


@on_virtual_time
async def test_transfer_of_large_values_over_a_slow_link_has_the_time_that_they_need() -> None:
    """Each lane has one on its way, and they share the link."""
    parts = await node_a(A, B)
    keys = await some(parts, 2 * parts.config.transfer_lanes, B)
    await parts.keep(*((key, record(6, b"1" * VALUE_BYTES_MAX)) for key in keys))
    peer = taker(parts, B)
    parts.peers.script[B] = SlowLink(peer)
    assert await bring(parts, keys, B, forget=True)
    assert sorted(peer.held) == sorted(keys) and not parts.store.occupied


@on_virtual_time
async def test_transfer_to_a_peer_that_falls_silent_ends_in_time() -> None:
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    parts.peers.silent.add(B)
    parts.peers.script[B] = lambda _: Unable()
    began = parts.time.monotonic()
    assert not await bring(parts, keys, B, forget=True)
    assert parts.time.monotonic() - began == pytest.approx(parts.config.transfer_s, abs=0.1)


@pytest.mark.parametrize(
    "garbage",
    [Differing(b"\0", b""), Differing(b"", b"\0"), Wanted(b"\0")],
    ids=["empty", "different", "wanted"],
)
@on_virtual_time
async def test_transfer_garbage_for_an_answer_stops_it_and_nothing_else(garbage: Answer) -> None:
    parts = await node_a(A, B)
    keys = await some(parts, 3, B)
    peer = taker(parts, B, different=[(key, record(1)) for key in keys])

    async def answer(request: Request) -> Answer:
        asked = Compare if isinstance(garbage, Differing) else Offer
        return garbage if isinstance(request, asked) else await peer(request)

    parts.peers.script[B] = answer
    assert not await bring(parts, keys, B, forget=True)
    assert [parts.held(key) for key in keys] == [record(5)] * 3
