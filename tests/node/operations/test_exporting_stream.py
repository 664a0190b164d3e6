"""How the blocks of several owners become one stream that tells each key once."""

from __future__ import annotations

import asyncio
import json
from unittest.mock import Mock

import pytest

from node.errors import Reason, StorageFault, Unavailable
from node.net.messages import (
    Answer,
    Export,
    Exported,
    Request,
    Stretch,
    Unable,
)
from node.operations.export_progress import LANES, Progress
from node.operations.exporting import Exporter
from node.operations.routing import Routing
from ring.hashing import partition_of
from ring.sets import ALL, bits_of
from tests.node.operations.exporting_parts import keys_of, lines, owner_export, stretch_of
from tests.node.parts import A, B, Parts, node_a, on_virtual_time, record


class Reader:
    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.progress: list[Progress] = []
        self.told_with: dict[bytes, Progress] = {}
        """By key, the progress of its block."""

    async def take(self, block: bytes, progress: Progress) -> None:
        keys = [json.loads(line)["key"].encode() for line in block.splitlines()]
        self.keys += keys
        self.progress.append(progress)
        self.told_with |= dict.fromkeys(keys, progress)


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
    assert not reader.told_with[theirs[-1]].is_complete, "that it has no more, B has yet to say"


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
