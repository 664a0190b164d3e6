"""What an owner exports."""

from __future__ import annotations

import asyncio

import pytest

from node.net.messages import (
    Export,
    Exported,
    FetchedRange,
    FetchPartitions,
    Stretch,
    Unheard,
    ViewIs,
)
from node.operations import exporting
from node.values.record import Record
from ring.hashing import partition_of
from ring.sets import BYTES, bits_of
from tests.node.operations.exporting_parts import keys_of, lines, owner_export, stretch_of, told_by
from tests.node.parts import A, B, C, node_a, on_virtual_time, record
from tests.node.samples import successor


@on_virtual_time
async def test_owner_exports_what_is_live_of_the_partitions_it_is_asked_for() -> None:
    parts = await node_a(A, B)
    one, deleted, three, expired = keys_of(parts, A, 4)
    (foreign,) = keys_of(parts, B, 1)
    stays = [(key, record(3, b"[1]")) for key in (one, three, foreign)]
    await parts.keep(*stays, (deleted, record(3, None)), (expired, record(3)._replace(expires_ms=parts.time.wall_ms())))
    told = await told_by(parts, stretch_of(parts, A))
    assert told == Exported(lines((one, b"[1]"), (three, b"[1]")), None)
    assert await told_by(parts, stretch_of(parts, A, after=one)) == Exported(lines((three, b"[1]")), None)
    assert await told_by(parts, stretch_of(parts, A, prefix=b"x")) == Exported(b"", None)
    only = Stretch(bits_of([partition_of(three)]).to_bytes(BYTES), b"", b"")
    assert await told_by(parts, only) == Exported(lines((three, b"[1]")), None)


@on_virtual_time
async def test_owner_exports_in_blocks_that_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "BLOCK_BYTES", 50)
    parts = await node_a(A, B)
    keys = keys_of(parts, A, 12)
    await parts.keep(*((key, record(3)) for key in keys))
    found, after = b"", b""
    blocks = 0
    while True:
        told = await told_by(parts, stretch_of(parts, A, after=after))
        assert isinstance(told, Exported)
        found, blocks = found + told.lines, blocks + 1
        if told.end is None:
            break
        after = told.end
    assert found == lines(*((key, b"1") for key in keys)) and blocks > 3


@on_virtual_time
async def test_owner_asks_donors_and_exports_the_newest_that_anybody_has() -> None:
    parts = await node_a(A, B)
    older, deleted, theirs, mine, gone_there = keys = keys_of(parts, A, 5)
    for key in keys:
        parts.wait_for(B, key)
    await parts.keep((older, record(3)), (deleted, record(5, None)), (mine, record(3)), (gone_there, record(3)))
    held = [(older, record(4, b"2")), (deleted, record(4)), (theirs, record(4)), (gone_there, record(4, None))]
    parts.peers.script[B] = lambda _: FetchedRange(tuple((key, one.encode()) for key, one in held), None, 0, False)
    stretch = stretch_of(parts, A)
    assert await told_by(parts, stretch) == Exported(lines((older, b"2"), (theirs, b"1"), (mine, b"1")), None)
    assert parts.asked(FetchPartitions) == [(B, FetchPartitions(stretch, exporting.BLOCK_BYTES))]


@on_virtual_time
async def test_owner_asks_only_donors_of_what_it_exports() -> None:
    parts = await node_a(A, B)
    one, two = keys_of(parts, A, 2)
    parts.wait_for(B, one)
    await parts.keep((two, record(3)))
    only = Stretch(bits_of([partition_of(two)]).to_bytes(BYTES), b"", b"")
    assert await told_by(parts, only) == Exported(lines((two, b"1")), None)
    assert not parts.peers.asked


@on_virtual_time
async def test_owner_exports_no_further_than_whoever_was_asked() -> None:
    parts = await node_a(A, B)
    one, two, three = keys_of(parts, A, 3)
    parts.wait_for(B, one)
    await parts.keep(*((key, record(3)) for key in (one, two, three)))
    parts.peers.script[B] = lambda _: FetchedRange((), two, 0, False)
    assert await told_by(parts, stretch_of(parts, A)) == Exported(lines((one, b"1"), (two, b"1")), two)


@on_virtual_time
async def test_owner_names_a_member_that_has_yet_to_bring_something_and_is_silent() -> None:
    parts = await node_a(A, B, C)
    (one,) = keys_of(parts, A, 1)
    parts.wait_for(B, one)
    assert await told_by(parts, stretch_of(parts, A)) == Unheard((B,))


@on_virtual_time
async def test_owner_names_a_donor_of_a_release_that_knows_of_no_export() -> None:
    """It takes the question for garbage. Were it passed over as one that is silent, its keys would be missing."""
    parts = await node_a(A, B)
    (one,) = keys_of(parts, A, 1)
    parts.wait_for(C, one)
    parts.peers.silent.add(C)
    assert await told_by(parts, stretch_of(parts, A)) == Exported(b"", None)
    parts.peers.older.add(C)
    assert await told_by(parts, stretch_of(parts, A)) == Unheard((C,))


@pytest.mark.parametrize("who", ["owner", "donor"])
@on_virtual_time
async def test_export_counts_for_the_view_at_its_begin(who: str) -> None:
    """What has been handed over since, one donor to another owner, would be missed by who has asked."""
    parts = await node_a(A, B)
    exports = owner_export(parts)
    await parts.keep(*((key, record(3)) for key in keys_of(parts, A if who == "owner" else B, 200)))
    looks = 0

    async def turn(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            await parts.views.adopt(successor(parts.views.current, A, B, C), C)

    real, asyncio.sleep = asyncio.sleep, turn  # type: ignore[assignment]
    try:
        if who == "owner":
            told = await told_by(parts, stretch_of(parts, A))
        else:
            told = await exports.fetch(FetchPartitions(stretch_of(parts, B), 100_000))
    finally:
        asyncio.sleep = real
    assert looks >= 2 and isinstance(told, ViewIs)


@pytest.mark.parametrize("who", ["owner", "donor"])
@on_virtual_time
async def test_export_is_held_to_the_view_of_the_call_before_the_work_begins(who: str) -> None:
    parts = await node_a(A, B)
    exports, stretch = owner_export(parts), stretch_of(parts, A)
    call = (
        exports.serve(Export(stretch, exporting.BLOCK_BYTES), 1.0)
        if who == "owner"
        else exports.fetch(FetchPartitions(stretch, 100_000))
    )
    await parts.views.adopt(successor(parts.views.current, A, B, C), C)
    assert isinstance(await call, ViewIs)


@on_virtual_time
async def test_donor_tells_deletions_and_what_has_expired_too() -> None:
    parts = await node_a(A, B)
    one, two = keys_of(parts, B, 2)
    held: list[tuple[bytes, Record]] = [(one, record(3, None)), (two, record(3)._replace(expires_ms=1))]
    await parts.keep(*held)
    told = await owner_export(parts).fetch(FetchPartitions(stretch_of(parts, B), 100_000))
    assert isinstance(told, FetchedRange) and told.end is None
    assert told.records == tuple((key, one.encode()) for key, one in held)
