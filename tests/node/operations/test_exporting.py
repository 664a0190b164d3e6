"""What an owner exports, and how the blocks of several become one stream that tells each key once."""

from __future__ import annotations

import asyncio
import json
from itertools import islice
from unittest.mock import Mock

import pytest

from gossip.view import Address
from node.errors import Reason, StorageFault, Unavailable
from node.net.messages import (
    Answer,
    Export,
    Exported,
    FetchedRange,
    FetchPartitions,
    Request,
    Stretch,
    Unable,
    Unheard,
    ViewIs,
)
from node.operations import exporting
from node.operations.export_progress import LANES, Progress
from node.operations.exporting import Exporter, OwnerExport
from node.operations.partition_order import place_of
from node.operations.routing import Routing
from node.values.record import Record
from ring.hashing import partition_of
from ring.sets import ALL, BYTES, bits_of
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor


def owner_export(parts: Parts) -> OwnerExport:
    return OwnerExport(parts.config, parts.store, parts.views, parts.calls, parts.shard_inquiry(), parts.time.wall_ms)


def stretch_of(parts: Parts, node: Address, prefix: bytes = b"", after: bytes = b"") -> Stretch:
    """All that it owns, from there on."""
    bits = parts.views.ring.bits_of(node)
    begun = partition_of(after) if after else 0
    return Stretch((bits >> begun << begun).to_bytes(BYTES), prefix, after)


async def told_by(parts: Parts, stretch: Stretch) -> Answer:
    return await owner_export(parts).carry_out(
        Export(stretch, exporting.BLOCK_BYTES), parts.views.view_id, parts.deadline
    )


def keys_of(parts: Parts, node: Address, count: int) -> list[bytes]:
    """As they are exported."""
    return sorted(islice(parts.keys_of(node), count), key=place_of)


def lines(*entries: tuple[bytes, bytes]) -> bytes:
    return b"".join(b'{"key":"%b","value":%b}\n' % entry for entry in entries)


# The owner


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


# The stream


class Reader:
    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.progress: list[Progress] = []

    async def take(self, block: bytes, progress: Progress) -> None:
        self.keys += [json.loads(line)["key"].encode() for line in block.splitlines()]
        self.progress.append(progress)


def exporter(parts: Parts) -> Exporter:
    config, time, views, calls = parts.config, parts.time, parts.views, parts.calls
    routing = Routing(config, time, views, parts.readiness, calls, parts.peers)
    return Exporter(config, time, views, calls, routing, owner_export(parts))


@on_virtual_time
async def test_export_is_told_by_one_owner_of_each_shard() -> None:
    parts = await node_a(A, B)
    mine, theirs = keys_of(parts, A, 3), keys_of(parts, B, 3)
    await parts.keep(*((key, record(3)) for key in mine))
    asked: list[Stretch] = []

    def b_tells(request: Request) -> Answer:
        assert isinstance(request, Export)
        asked.append(request.stretch)
        told = theirs[len(asked) - 1 :][:1]
        return Exported(lines(*((key, b"1") for key in told)), told[0] if told else None)

    parts.peers.script[B] = b_tells
    reader = Reader()
    await exporter(parts).export(b"k", Progress(), reader.take)
    assert sorted(reader.keys) == sorted(mine + theirs)
    assert asked == [stretch_of(parts, B, b"k", after) for after in (b"", *theirs)]
    assert not reader.progress[-1].is_complete, "that the last one has no more is told by the end"


@on_virtual_time
async def test_export_goes_on_where_its_progress_says() -> None:
    parts = await node_a(A)
    one, two, three = keys_of(parts, A, 3)
    await parts.keep(*((key, record(3)) for key in (one, two, three)))
    reader = Reader()
    await exporter(parts).export(b"", Progress(bits_of([partition_of(one)]), (two,)), reader.take)
    assert reader.keys == [three]
    await exporter(parts).export(b"", Progress(ALL), reader.take)
    assert reader.keys == [three]


@on_virtual_time
async def test_export_tells_no_block_before_the_one_before_is_taken() -> None:
    parts = await node_a(A, B)
    (theirs,), mine = keys_of(parts, B, 1), keys_of(parts, A, 1)
    await parts.keep(*((key, record(3)) for key in mine))
    parts.peers.script[B] = lambda _: Exported(lines((theirs, b"1")), None)
    may_go_on, blocks = asyncio.Event(), list[bytes]()

    async def take(block: bytes, _: Progress) -> None:
        blocks.append(block)
        await may_go_on.wait()

    exporting_ = asyncio.ensure_future(exporter(parts).export(b"", Progress(), take))
    await asyncio.sleep(3600.0)
    assert len(blocks) == 1 and len(parts.peers.asked) == 1, "nor is anybody asked for more"
    may_go_on.set()
    await exporting_
    assert len(blocks) == 2


@on_virtual_time
async def test_export_that_was_not_taken_is_in_no_cursor() -> None:
    parts = await node_a(A, B)
    (theirs,), (mine,) = keys_of(parts, B, 1), keys_of(parts, A, 1)
    await parts.keep((mine, record(3)))
    parts.peers.script[B] = lambda _: Exported(lines((theirs, b"1")), None)
    cursors: list[Progress] = []

    async def take(block: bytes, progress: Progress) -> None:
        cursors.append(progress)
        await asyncio.sleep(0.1)
        raise ConnectionResetError

    with pytest.raises(ExceptionGroup):
        await exporter(parts).export(b"", Progress(), take)
    told = [bool(cursor.told & bits_of([partition_of(key)])) for cursor in cursors for key in (mine, theirs)]
    assert told.count(True) == len(cursors), "each tells of its own block only"


@on_virtual_time
async def test_export_names_who_cannot_be_reached() -> None:
    parts = await node_a(A, B)
    with pytest.raises(Unavailable) as refusal:
        await exporter(parts).export(b"", Progress(), Reader().take)
    assert refusal.value.details == {"unreachable": [B]}


@on_virtual_time
async def test_export_tells_what_others_have_before_it_gives_up() -> None:
    parts = await node_a(A, B)
    mine = keys_of(parts, A, 3)
    await parts.keep(*((key, record(3)) for key in mine))
    reader = Reader()
    with pytest.raises(Unavailable):
        await exporter(parts).export(b"", Progress(), reader.take)
    assert reader.keys == mine
    (theirs,) = keys_of(parts, B, 1)
    parts.peers.script[B] = lambda _: Exported(lines((theirs, b"1")), None)
    await exporter(parts).export(b"", reader.progress[-1], reader.take)
    assert reader.keys == [*mine, theirs]


@on_virtual_time
async def test_export_of_a_disk_that_cannot_be_read_is_given_up_as_others_are() -> None:
    parts = await node_a(A)
    await parts.keep(*((key, record(3)) for key in parts.own_keys(3)))
    parts.store.ranges.records = Mock(side_effect=StorageFault("no"))  # type: ignore[method-assign]
    with pytest.raises(Unavailable) as refusal:
        await exporter(parts).export(b"", Progress(), Reader().take)
    assert not refusal.value.details


@on_virtual_time
async def test_export_waits_a_moment_for_who_comes_back() -> None:
    parts = await node_a(A, B)
    (theirs,) = keys_of(parts, B, 1)
    reader = Reader()
    exporting_ = asyncio.ensure_future(exporter(parts).export(b"", Progress(), reader.take))
    await asyncio.sleep(parts.config.request_s / 2)
    parts.peers.script[B] = lambda _: Exported(lines((theirs, b"1")), None)
    await exporting_
    assert reader.keys == [theirs]


@on_virtual_time
async def test_export_names_nodes_of_a_release_that_knows_of_none() -> None:
    parts = await node_a(A, B)
    parts.peers.older.add(B)
    with pytest.raises(Unavailable, match="of a release that knows of no export") as refusal:
        await exporter(parts).export(b"", Progress(), Reader().take)
    assert refusal.value.details == {"nodes": [B]} and not parts.peers.asked
    assert refusal.value.reason is Reason.RELEASE


@on_virtual_time
async def test_export_gives_up_in_the_usual_time_if_nobody_can_tell() -> None:
    parts = await node_a(A, B)
    parts.peers.script[B] = lambda _: Unable()
    began = parts.time.monotonic()
    with pytest.raises(Unavailable) as refusal:
        await exporter(parts).export(b"", Progress(), Reader().take)
    assert not refusal.value.details and parts.time.monotonic() - began < 2 * parts.config.request_s


def test_cursor_has_room_for_what_is_worked_on_at_once() -> None:
    assert LANES * 201 < 4096
