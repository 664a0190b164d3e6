"""What one node does with what has expired; whole stories are in `tests/sim/test_expiry.py`."""

from __future__ import annotations

import asyncio
import random

from node.net.messages import Replicate
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of
from tests.node.fakes.peers import CoOwner
from tests.node.lone_owner import B, Lone, lone_owner
from tests.node.parts import on_virtual_time
from tests.sim.disk import Disk


def expiring(lone: Lone, in_ms: int, value: bytes = b"1") -> Record:
    now_ms = lone.time.wall_ms()
    return Record(make_version(now_ms << 16, 9), value, False, b"", now_ms + in_ms)


def held(lone: Lone, key: bytes) -> Record | None:
    return lone.store.get(partition_of(key), key)


@on_virtual_time
async def test_expired_key_is_turned_counted_no_more_and_told_to_nobody() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        lone.node.clock.is_grounded = True
        record = expiring(lone, 3000)
        await lone.hold(b"k", record)
        await asyncio.sleep(2.9)
        assert lone.node.own_keys.count == 1 and held(lone, b"k") == record
        await asyncio.sleep(0.15)
        assert lone.node.own_keys.count == 0 and held(lone, b"k") == record._replace(value=None)
        brought = [request.records for _, request in lone.peers.asked if isinstance(request, Replicate)]
        assert brought == [((b"k", record.encode()),)], "each copy has a clock"
        lone.store.check()


@on_virtual_time
async def test_expired_keys_are_turned_in_the_order_of_time_a_key_that_comes_first_too() -> None:
    async with lone_owner(runs=True) as lone:
        await lone.hold(b"later", expiring(lone, 5000))
        await asyncio.sleep(1.0)
        await lone.hold(b"sooner", expiring(lone, 100))
        await asyncio.sleep(0.7)
        assert [lone.node.own_keys.count, held(lone, b"sooner") is not None] == [1, True]
        await asyncio.sleep(3.5)
        assert lone.node.own_keys.count == 0


@on_virtual_time
async def test_full_disk_turns_what_has_expired_and_has_room_again() -> None:
    disk = Disk(random.Random(1))
    async with lone_owner(disk=disk, runs=True) as lone:
        await lone.hold(b"k", expiring(lone, 1000))
        disk.full = True
        await asyncio.sleep(1.1)
        assert lone.node.own_keys.count == 0


@on_virtual_time
async def test_disk_that_takes_nothing_is_tried_again() -> None:
    disk = Disk(random.Random(1))
    async with lone_owner(disk=disk, runs=True) as lone:
        await lone.hold(b"k", expiring(lone, 1000))
        disk.exhausted = True
        await asyncio.sleep(3.0)
        assert lone.node.own_keys.count == 1
        disk.exhausted = False
        await asyncio.sleep(0.6)
        assert lone.node.own_keys.count == 0


@on_virtual_time
async def test_nothing_is_thrown_away_by_a_clock_that_nobody_confirms() -> None:
    """The machine was started a moment ago, and of the other owner nothing was heard yet."""
    async with lone_owner(B, runs=True) as lone:
        await lone.hold(b"k", record := expiring(lone, 1000))
        lone.node.clock.is_grounded = False
        await asyncio.sleep(5.0)
        assert held(lone, b"k") == record
        lone.node.clock.is_grounded = True
        await asyncio.sleep(0.6)
        assert held(lone, b"k") == record._replace(value=None)
