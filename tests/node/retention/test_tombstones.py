"""What one node announces to be forgettable, and what it forgets; whole stories are in `tests/sim/test_purge.py`."""

from __future__ import annotations

import asyncio

from gossip.messages import Delta, MemberRecord
from node.retention.tombstones import DROPPED_AT_ONCE, STEPS_PER_GRACE
from node.storage.store import Store
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring
from tests.node.fakes.peers import CoOwner
from tests.node.lone_owner import A, B, Lone, lone_owner
from tests.node.parts import on_virtual_time

ENOUGH_S = 3.0
"""For the first announcement."""


def announce(lone: Lone, address: str, stable: int, forgettable: int) -> None:
    digest = lone.node.views.view_id.digest
    record = MemberRecord(address, 1, 0, 5, 0, 0, digest, stable, forgettable)
    lone.node.hear(address, Delta(lone.node.views.view_id, record, (), (), ()))


def forget_up_to(store: Store, clock: int) -> asyncio.Future[None]:
    return asyncio.ensure_future(store.submit(lambda transaction: transaction.raise_stable_watermark(clock)))


@on_virtual_time
async def test_forgettable_is_nothing_before_this_node_has_announced_anything() -> None:
    async with lone_owner(B) as lone:
        await lone.node.clock.stamp()
        assert lone.node.tombstones.forgettable() == 0


@on_virtual_time
async def test_forgettable_lies_a_grace_before_the_wall_clock_in_steps() -> None:
    async with lone_owner(runs=True) as lone:
        grace_s = lone.node.config.tombstone_grace_s
        lone.time.jump(2 * grace_s)
        await lone.node.clock.stamp()
        await asyncio.sleep(ENOUGH_S)
        await forget_up_to(lone.store, lone.node.clock.reading + (10**9 << 16))
        step_ms = int(grace_s * 1000) // STEPS_PER_GRACE
        forgettable_ms = lone.node.tombstones.forgettable() >> 16
        assert forgettable_ms % step_ms == 0
        assert 0 <= lone.time.wall_ms() - int(grace_s * 1000) - forgettable_ms < step_ms


@on_virtual_time
async def test_forgettable_is_nothing_while_a_copy_of_others_is_kept_here() -> None:
    """It may be of a key that was deleted since; nor does this node learn what is stable among them."""
    async with lone_owner(runs=True) as lone:
        lone.time.jump(2 * lone.node.config.tombstone_grace_s)
        await lone.node.clock.stamp()
        await lone.hold(b"k", Record(make_version(1, 1), b"1", False))
        await asyncio.sleep(ENOUGH_S)
        await forget_up_to(lone.store, lone.node.clock.reading + (10**9 << 16))
        assert lone.node.tombstones.forgettable() > 0
        lone.node.views.ring = Ring(first_placement((B,), 1))
        assert lone.node.tombstones.forgettable() == 0


@on_virtual_time
async def test_forgettable_is_no_higher_than_the_stable_watermark() -> None:
    async with lone_owner(runs=True) as lone:
        lone.time.jump(2 * lone.node.config.tombstone_grace_s)
        await asyncio.sleep(ENOUGH_S)
        await lone.node.clock.stamp()
        await asyncio.sleep(ENOUGH_S)
        assert lone.node.tombstones.forgettable() <= lone.store.stable_watermark


@on_virtual_time
async def test_sweep_drops_tombstones_up_to_the_purge_watermark_in_several_jobs_and_says_so() -> None:
    async with lone_owner() as lone:
        tombstone, later = Record(make_version(7, 1), None, True), Record(make_version(8, 1), None, True)
        value = Record(make_version(1, 1), b"1", False)
        keys = [b"k%d" % n for n in range(2 * DROPPED_AT_ONCE + 1)]
        items = [(partition_of(key), key, tombstone.encode()) for key in keys]
        await lone.store.merge(lone.node.views.view_id, items)
        await lone.hold(b"later", later)
        await lone.hold(b"value", value)
        await lone.store.submit(lambda transaction: transaction.raise_purge_watermark(7))
        await lone.node.tombstones._sweep()
        assert not any(lone.store.get(partition_of(key), key) for key in keys)
        assert lone.store.get(partition_of(b"later"), b"later") == later
        assert lone.store.get(partition_of(b"value"), b"value") == value
        assert lone.store.sweep_watermark == 7
        lone.store.check()


@on_virtual_time
async def test_purge_watermark_follows_the_lowest_announcement_of_the_view() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        lone.time.jump(2 * lone.node.config.tombstone_grace_s)
        await lone.node.clock.stamp()
        await asyncio.sleep(ENOUGH_S)
        await forget_up_to(lone.store, lone.node.clock.reading)
        own = lone.node.tombstones.forgettable()
        assert own > 5
        announce(lone, B, own, 5)
        await lone.node.tombstones._advance()
        assert lone.store.purge_watermark == 5
        assert lone.node.views.current.nodes == {A, B}
