"""What an owner announces to be everywhere, and why it stays true: low watermark, outboxes, restarts, views."""

from __future__ import annotations

import asyncio
import random

import pytest

from gossip.messages import Delta, MemberRecord
from node.net.messages import Unable
from node.storage.writes import Absent, Newer, Written
from node.values.context import ANYBODY, EMPTY, Context, Sight, owner_id
from node.values.donors import DonorsChange, Share
from node.values.version import Version, clock_of, make_version
from node.views.rules import environment_view
from ring.hashing import hash_of, partition_of
from tests.node.fakes.peers import CoOwner
from tests.node.lone_owner import A, B, C, Lone, lone_owner
from tests.node.parts import on_virtual_time
from tests.node.samples import successor
from tests.sim.disk import Disk

KEY = b"key"
START = 1_000_000 << 16


def v(clock: int) -> Version:
    return make_version(START + clock, 9)


def heard(lone: Lone, address: str, stable: int, settles_it: bool = True) -> None:
    """Let the node hear by gossip what `address` announces, under this view or another one."""
    digest = lone.node.views.view_id.digest if settles_it else 7
    record = MemberRecord(address, 1, 0, 5, 0, 0, digest, stable)
    lone.node.hear(address, Delta(lone.node.views.view_id, record, (), (), ()))


# The low watermark


@on_virtual_time
async def test_low_watermark_refuses_what_comes_after_it_and_not_what_came_before() -> None:
    async with lone_owner() as lone:
        store, view_id = lone.store, lone.node.views.view_id
        partition = partition_of(KEY)
        before = store.write(view_id, partition, KEY, v(5), b"1")
        low_watermark = store.submit(lambda transaction: transaction.raise_low_watermark(START + 7))
        again = store.write(view_id, partition, KEY, v(5), b"1")
        below = store.write(view_id, partition, KEY, v(6), b"2")
        at = store.write(view_id, partition, b"fresh", make_version(START + 7, 2**64 - 1), b"2")
        nothing = store.write(view_id, partition, b"fresh", v(6), None)
        above = store.write(view_id, partition, KEY, v(8), b"3")
        await low_watermark
        assert (await before, await again) == (Written(False), Written(False, is_repeated=True))
        assert await below == Newer(make_version(START + 8, 0))
        assert await at == Newer(make_version(START + 8, 0))
        assert await nothing == Absent()
        assert await above == Written(True)


@on_virtual_time
async def test_low_watermark_of_the_life_before_is_below_all_that_is_stamped_later() -> None:
    disk = Disk(random.Random(1))
    async with lone_owner(disk=disk) as lone:
        low_watermark = (lone.time.wall_ms() + 60_000) << 16
        await lone.store.submit(lambda transaction: transaction.raise_low_watermark(low_watermark))
    async with lone_owner(disk=disk) as lone:
        assert lone.store.low_watermark() == low_watermark <= lone.node.clock.reading
        assert clock_of(await lone.node.clock.stamp()) > low_watermark


# Announcing


@on_virtual_time
async def test_announced_lags_by_more_than_a_request_lives() -> None:
    async with lone_owner(runs=True) as lone:
        assert lone.node.config.stable_lag_s > lone.node.config.answer_s
        version = await lone.node.clock.stamp()
        await asyncio.sleep(1.75)
        assert lone.node.stability.announced < clock_of(version)
        await asyncio.sleep(1.0)
        assert clock_of(version) <= lone.node.stability.announced <= lone.store.low_watermark()
        announced = lone.node.stability.announced
        await asyncio.sleep(5.0)
        assert lone.node.stability.announced == announced, "an idle node has no news"


@on_virtual_time
async def test_announced_only_when_all_co_owners_have_confirmed() -> None:
    async with lone_owner(B, C, runs=True) as lone:
        b, c = CoOwner(), CoOwner()
        lone.peers.script |= {B: b, C: c}
        await asyncio.sleep(1.0)
        first = await lone.node.router.write(KEY, b"1", EMPTY)
        assert first.context == EMPTY
        await asyncio.sleep(3.0)
        announced = lone.node.stability.announced
        assert announced >= clock_of(lone.store.get(partition_of(KEY), KEY).version)  # type: ignore[union-attr]

        del lone.peers.script[C]
        await asyncio.sleep(1.0)
        second = await lone.node.router.write(KEY, b"2", EMPTY)
        version = lone.store.get(partition_of(KEY), KEY).version  # type: ignore[union-attr]
        assert second.context == Context({hash_of(KEY): Sight(version, owner_id(A))})
        await asyncio.sleep(5.0)
        assert lone.node.stability.announced < clock_of(version)

        lone.peers.script[C] = c
        await asyncio.sleep(5.0)
        assert lone.node.stability.announced >= clock_of(version)


@on_virtual_time
async def test_announced_nothing_before_the_first_comparison_nor_after_a_restart() -> None:
    disk = Disk(random.Random(1))
    for _ in range(2):
        async with lone_owner(B, disk=disk, runs=True) as lone:
            await lone.node.clock.stamp()
            await asyncio.sleep(4.0)
            assert lone.node.stability.announced == 0, "B was never heard"
            lone.peers.script[B] = CoOwner()
            await asyncio.sleep(1.0)
            assert lone.node.stability.announced > 0, "what was durable before needs no further lag"


@on_virtual_time
async def test_announced_nothing_under_a_new_view_until_it_is_settled() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        await lone.node.clock.stamp()
        await asyncio.sleep(3.0)
        assert lone.node.stability.announced > 0
        del lone.peers.script[B]
        await lone.node.views.adopt(successor(environment_view(lone.node.config), A, B, C), B)
        assert lone.node.stability.announced == 0
        await asyncio.sleep(3.0)
        assert lone.node.stability.announced == 0


@on_virtual_time
async def test_announced_nothing_while_the_view_is_not_settled() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        await lone.node.clock.stamp()
        await asyncio.sleep(3.0)
        announced = lone.node.stability.announced
        assert announced > 0
        lone.node.stability.advance(is_settled=False)
        assert lone.node.stability.announced == 0 == lone.node.tombstones.forgettable()
        lone.node.stability.advance(is_settled=True)
        assert lone.node.stability.announced == announced


@on_virtual_time
async def test_announced_nothing_from_the_round_on_after_a_donor_has_come_home() -> None:
    async with lone_owner(runs=True) as lone:
        await lone.node.clock.stamp()
        await asyncio.sleep(3.0)
        assert lone.node.stability.announced > 0
        lone.peers.script[C] = lambda request: Unable()
        lone.node.views.change_donors(lone.node.views.view_id, DonorsChange(put={C: Share(alone=1 << 5)}))
        await asyncio.sleep(1.0)
        assert lone.node.stability.announced == 0


# Rendering


@pytest.mark.parametrize(
    ("b", "settles_it", "left"),
    [(5, True, False), (9, True, False), (4, True, True), (None, True, True), (5, False, True)],
    ids=["stable", "beyond", "not yet", "never heard of", "of another view"],
)
@on_virtual_time
async def test_unstable_is_what_an_owner_has_not_announced(b: int | None, settles_it: bool, left: bool) -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        lone.node.clock.observe(START + 100)
        await asyncio.sleep(3.0)
        assert lone.node.stability.announced >= START + 100
        if b is not None:
            heard(lone, B, START + b, settles_it)
        for context in (
            Context({hash_of(KEY): Sight(v(5), owner_id(B))}),
            Context({}, {owner_id(A): START + 5}),
            Context({}, {ANYBODY: START + 5}),
            Context({}, {owner_id("gone:1"): START + 5}),
        ):
            assert lone.node.stability.unstable(context) == (context if left else EMPTY)


@on_virtual_time
async def test_unstable_forgets_what_no_clock_can_have_stamped() -> None:
    async with lone_owner(B) as lone:
        absurd = (lone.time.wall_ms() + lone.node.config.clock_lead_ms_max + 1) << 16
        context = Context({hash_of(KEY): Sight(make_version(absurd, 1), owner_id(B))})
        assert lone.node.stability.unstable(context) == EMPTY
        near = Context({hash_of(KEY): Sight(make_version(absurd - 1, 1), owner_id(B))})
        assert lone.node.stability.unstable(near) == near


@on_virtual_time
async def test_context_taken_in_puts_the_clock_above_it() -> None:
    async with lone_owner(B) as lone:
        ahead = START + (30_000 << 16)
        taken = lone.node.router.take_context({"v": 1, "s": {f"{owner_id(B):016x}": f"{ahead:016x}"}})
        assert taken == Context({}, {owner_id(B): ahead})
        assert clock_of(await lone.node.clock.stamp()) > ahead
