"""What stands on a disk: records as they are and as they travel; and all else that a node keeps, of which a part has
been changed by nobody: it starts all the same, or says in one line what is wrong."""

from __future__ import annotations

import asyncio
import functools
import random
from pathlib import Path

import msgspec

from node.config import Config
from node.errors import BadDataDir, StorageFault
from node.node import Node
from node.storage.identity import identify
from node.values import context, record
from node.values.context import BadContext
from node.values.record import decode_record
from tests.fuzz.quiet import on_virtual_time
from tests.fuzz.target import Target
from tests.golden.data_dir import A, B, fill
from tests.golden.samples import LIVE, SAMPLES, TOMBSTONE
from tests.node.fakes.clocks import LoopTime
from tests.node.fakes.peers import ScriptedPeers
from tests.node.parts import running, store_on
from tests.sim.disk import Disk

NOW_MS = 2**41
SMALL_BYTES = 4096


def check_record(data: bytes) -> None:
    try:
        found = decode_record(data)
    except ValueError:
        return
    again = found.encode()
    assert decode_record(again) == found and record.checked(data) is data
    assert record.version_of(data) == found.version and record.has_value(data) == found.has_value
    assert record.value_of(data) == found.value and record.expiry_of(data) == found.expires_ms
    assert record.is_live(data, NOW_MS) == found.is_live(NOW_MS) == record.is_live(record.head_of(data), NOW_MS)
    tombstone = record.as_tombstone(data)
    assert decode_record(tombstone) == found._replace(value=None)
    assert record.is_forgotten(tombstone, 2**64)
    try:
        seen = context.decode(found.context)
    except BadContext:
        return
    assert context.decode(context.encode(seen)) == seen == seen.merge(seen)
    context.to_json(seen.merge(seen.with_entry(1, found.version, 2)))


RECORDS = Target(
    "records",
    check_record,
    [LIVE.encode(), TOMBSTONE.encode()]
    + [sample.encode(sample.what) for name, sample in SAMPLES.items() if name.startswith("record: ")],
    [b"\0" * 8, b"\xff" * 8, bytes([record._CONTEXT]), bytes([record._CONTEXT | record._EXPIRES])],
    examples=200,
)


# All that a node keeps


@functools.cache
def _filled() -> Disk:
    """With something of each kind on it."""

    async def work() -> Disk:
        disk = Disk(random.Random(1))
        store = store_on(disk)
        await fill(store)
        store.close()
        return disk

    return on_virtual_time(work())


def check_disk(data: bytes) -> None:
    """`data`: what stands at some places instead of what should, as a list of both."""
    try:
        changes = dict(msgspec.msgpack.decode(data, type=list[tuple[bytes, bytes | None]]))
    except (msgspec.MsgspecError, RecursionError):
        return
    disk = _filled().copy()
    disk.apply({place: value for place, value in changes.items() if 0 < len(place) <= 511})
    on_virtual_time(_start(disk))


async def _start(disk: Disk) -> None:
    time, rng = LoopTime(), random.Random(1)
    config = Config.for_test(A, (A, B), Path("/nowhere"))
    try:
        store = store_on(disk)
        identity = await identify(store, rng, config.cluster, config.address)
        node = Node(config, time, rng, store, identity, ScriptedPeers())
        await node.start()
    except (BadDataDir, StorageFault) as fault:
        assert "\n" not in str(fault)
        return
    async with running(node.run()):
        await asyncio.sleep(1.0)
    store.close()


def _changes() -> list[bytes]:
    items = [(place, value) for place, value in _filled().items.items() if len(value) < SMALL_BYTES]
    return [msgspec.msgpack.encode([item]) for item in items] + [msgspec.msgpack.encode([(items[0][0], None)])]


DISKS = Target("disks", check_disk, _changes(), is_msgpack=True, examples=100)
