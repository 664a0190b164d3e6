"""What a node tells of its keys in order: held to one view, and judged as a single key that was not found."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from node.net.messages import (
    Answer,
    FetchedRange,
    FetchRange,
    Listed,
    ListedExpiring,
    ListKeys,
    Range,
    Unheard,
    ViewIs,
)
from node.operations.listing import OwnerListing, Page, cut, share_of
from node.values.record import Record, head_of
from node.values.version import make_version
from ring.hashing import PARTITIONS, partition_of
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

ALL = Range(b"", b"", 1000, 2**20)


def lister(parts: Parts) -> OwnerListing:
    now_ms = parts.time.wall_ms
    return OwnerListing(parts.config, parts.time, parts.store, parts.views, parts.shard_inquiry(), now_ms)


async def told_by(parts: Parts, request: ListKeys) -> Answer:
    return await lister(parts).carry_out(request, parts.views.view_id, parts.deadline)


def keys_of(parts: Parts, node: str, count: int) -> list[bytes]:
    """Ascending."""
    return sorted(islice(parts.keys_of(node), count))


async def hold(parts: Parts, *keys: bytes, clock: int = 3, value: bytes | None = b"1") -> None:
    encoded = record(clock, value).encode()
    await parts.store.merge(parts.views.view_id, [(partition_of(key), key, encoded) for key in keys])


@on_virtual_time
async def test_listing_tells_the_live_keys_of_a_node_in_order() -> None:
    parts = await node_a(A, B)
    one, two, three = keys_of(parts, A, 3)
    (foreign,) = keys_of(parts, B, 1)
    await hold(parts, one, two, three, foreign)
    await hold(parts, two, clock=4, value=None)
    version = make_version(3 << 16, 9)
    told = await told_by(parts, ListKeys(ALL, True))
    assert told == Listed(((one, version, b"1"), (three, version, b"1")), None)
    told = await told_by(parts, ListKeys(ALL._replace(limit=1), False))
    assert told == Listed(((one, version, None),), one)


@on_virtual_time
async def test_listing_asks_donors_and_tells_the_newest_that_anybody_has() -> None:
    parts = await node_a(A, B)
    older, deleted, theirs, mine = keys_of(parts, A, 4)
    for key in (older, deleted, theirs, mine):
        parts.wait_for(B, key)
    await hold(parts, older, mine)
    await hold(parts, deleted, clock=5, value=None)
    held = [(older, record(4)), (deleted, record(4)), (theirs, record(4))]
    fetched = FetchedRange(tuple((key, one.encode()) for key, one in held), None, 0, False)
    parts.peers.script[B] = lambda _: fetched
    told = await told_by(parts, ListKeys(ALL, True))
    newer, here = make_version(4 << 16, 9), make_version(3 << 16, 9)
    assert isinstance(told, Listed)
    assert told.entries == ((older, newer, b"1"), (theirs, newer, b"1"), (mine, here, b"1"))


@on_virtual_time
async def test_listing_tells_of_what_expires_while_it_is_there_and_how_long_that_is() -> None:
    parts = await node_a(A, B)
    stays, gone, mine, theirs, gone_there = sorted(islice(parts.keys_of(A), 5))
    for key in (gone, mine, theirs):
        parts.wait_for(B, key)
    now_ms = parts.time.wall_ms()

    def until(in_ms: int, clock: int = 3) -> Record:
        return record(clock)._replace(expires_ms=now_ms + in_ms)

    await parts.keep((stays, record(3)), (gone, until(0)), (mine, until(700)), (gone_there, record(3)))
    held = [(theirs, until(800)), (gone_there, until(0, clock=4)), (gone, record(2))]
    for with_values in (True, False):
        told_there = tuple((key, one.encode() if with_values else head_of(one.encode())) for key, one in held)
        parts.peers.script[B] = lambda _, there=told_there: FetchedRange(there, None, 0, False)  # type: ignore[misc]
        version, value = make_version(3 << 16, 9), b"1" if with_values else None
        told = await told_by(parts, ListKeys(ALL, with_values))
        assert isinstance(told, Listed)
        assert told.entries == tuple((key, version, value) for key in sorted((stays, mine, theirs)))
        left_ms = told.left_ms if isinstance(told, ListedExpiring) else ()
        assert [key for key, _ in left_ms] == ([mine, theirs] if with_values else [])
        assert all(0 <= in_ms - left <= 20 for in_ms, (_, left) in zip((700, 800), left_ms, strict=False))


@on_virtual_time
async def test_listing_alone_looks_at_no_key_that_has_expired() -> None:
    parts = await node_a(A, B)
    one, two = keys_of(parts, A, 2)
    await parts.keep((one, record(3)._replace(expires_ms=parts.time.wall_ms())), (two, record(3)))
    told = await told_by(parts, ListKeys(ALL._replace(limit=1), False))
    assert told == Listed(((two, make_version(3 << 16, 9), None),), None)


@on_virtual_time
async def test_listing_goes_no_further_than_whoever_was_asked() -> None:
    parts = await node_a(A, B)
    one, two, three = keys_of(parts, A, 3)
    parts.wait_for(B, one)
    await hold(parts, one, two, three)
    parts.peers.script[B] = lambda _: FetchedRange((), two, 0, False)
    told = await told_by(parts, ListKeys(ALL, False))
    assert isinstance(told, Listed) and [key for key, *_ in told.entries] == [one, two] and told.end == two


@on_virtual_time
async def test_listing_names_a_member_that_has_yet_to_bring_something_and_is_silent() -> None:
    parts = await node_a(A, B, C)
    (one,) = keys_of(parts, A, 1)
    parts.wait_for(B, one)
    assert await told_by(parts, ListKeys(ALL, False)) == Unheard((B,))


@pytest.mark.parametrize("who", ["owner", "donor"])
@on_virtual_time
async def test_listing_counts_for_the_view_at_its_begin(who: str) -> None:
    """What has been handed over since, one donor to another owner, would be missed by who has asked."""
    parts = await node_a(A, B)
    await hold(parts, *keys_of(parts, A if who == "owner" else B, 200))
    looks = 0

    async def turn(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            await parts.views.adopt(successor(parts.views.current, A, B, C), C)

    real, asyncio.sleep = asyncio.sleep, turn  # type: ignore[assignment]
    try:
        mine = lister(parts)
        if who == "owner":
            told = await told_by(parts, ListKeys(ALL, False))
        else:
            told = await mine.fetch(B, FetchRange(ALL, False))
    finally:
        asyncio.sleep = real
    assert looks >= 2 and isinstance(told, ViewIs)


@pytest.mark.parametrize(("count", "lasts"), [(20, False), (200, True)])
@on_virtual_time
async def test_listing_of_many_keys_lets_others_go_first_once_it_is_put_together(
    count: int, lasts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is then encoded, or joined to what others have told, in one go: with the end of the walk before it, requests
    that came meanwhile waited for two milliseconds."""
    parts, steps = await node_a(A), list[str]()
    await hold(parts, *keys_of(parts, A, count))
    real, merged = asyncio.sleep, OwnerListing._merged

    async def rest(seconds: float) -> None:
        steps.append("rest")
        await real(seconds)

    def put_together(*of: Any) -> Listed:
        steps.append("put together")
        return merged(*of)

    monkeypatch.setattr(asyncio, "sleep", rest)
    monkeypatch.setattr(OwnerListing, "_merged", put_together)
    await told_by(parts, ListKeys(ALL, False))
    assert steps[steps.index("put together") :] == ["put together", *["rest"] * lasts]


@pytest.mark.parametrize("who", ["owner", "donor"])
@on_virtual_time
async def test_listing_is_held_to_the_view_of_the_call_before_the_work_begins(who: str) -> None:
    parts = await node_a(A, B)
    mine = lister(parts)
    answering = mine.serve(ListKeys(ALL, False), 1.0) if who == "owner" else mine.fetch(B, FetchRange(ALL, False))
    await parts.views.adopt(successor(parts.views.current, A, B, C), C)
    assert isinstance(await answering, ViewIs)


@pytest.mark.parametrize("limit", [1, 10, 1000, 10_000])
@pytest.mark.parametrize("shards", [1, 3, 50])
def test_share_of_each_shard_fills_a_page_together_with_the_others(limit: int, shards: int) -> None:
    keys = (partition_of(b"k%d" % number) * shards // PARTITIONS for number in range(limit))
    told = Counter(islice(keys, limit))
    assert max(told.values()) <= share_of(limit, shards) <= limit
    assert shards == 1 or limit < 1000 or share_of(limit, shards) < limit / 2


def test_cut_leaves_one_entry_at_least_and_says_where_it_has_cut() -> None:
    entries = [(b"%d" % number, b"v" * 16, b"x" * 9) for number in range(5)]
    assert cut(entries, None, 5, 50) == Page(tuple(entries), None)
    assert cut(entries, b"9", 5, 50) == Page(tuple(entries), b"9")
    assert cut(entries, None, 4, 50) == Page(tuple(entries[:4]), b"3")
    assert cut(entries, None, 5, 49) == Page(tuple(entries[:4]), b"3")
    assert cut(entries, None, 5, 1) == Page(tuple(entries[:1]), b"0")
    assert cut([], None, 5, 1) == Page((), None)
