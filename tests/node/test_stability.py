"""What an owner announces to be everywhere, and that it stays true: the floor, the outboxes, restarts, views."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossip.messages import Delta
from gossip.messages import Record as Member
from node.clock import LEAD_MS_MAX
from node.context import ANYBODY, EMPTY, Context, Sight, owner_id
from node.records import Version, clock_of, make_version
from node.store import Absent, Newer, Written
from node.views import environment_view
from ring.hashing import hash_of, partition_of
from tests.node.fakes import open_store, successor
from tests.node.lone_owner import A, B, C, CoOwner, Lone, lone_owner

KEY = b"key"
START = 1_000_000 << 16


def v(clock: int) -> Version:
    return make_version(START + clock, 9)


def heard(lone: Lone, address: str, stable: int, settled_epoch: int = 0, incarnation: int = 1) -> None:
    """Let the node hear by gossip what `address` announces."""
    record = Member(address, incarnation, 0, 5, settled_epoch, 0, stable)
    lone.node.hear(address, Delta(lone.node.views.stamp, record, (), (), ()))


# The floor


async def test_floor_refuses_what_comes_after_it_and_not_what_came_before(tmp_path: Path) -> None:
    async with lone_owner(tmp_path) as lone:
        store, stamp = lone.store, lone.node.views.stamp
        partition = partition_of(KEY)
        before = store.write(stamp, partition, KEY, v(5), b"1")
        floor = store.submit(lambda batch: batch.raise_floor(START + 7))
        again = store.write(stamp, partition, KEY, v(5), b"1")
        below = store.write(stamp, partition, KEY, v(6), b"2")
        at = store.write(stamp, partition, b"fresh", make_version(START + 7, 2**64 - 1), b"2")
        nothing = store.write(stamp, partition, b"fresh", v(6), None)
        above = store.write(stamp, partition, KEY, v(8), b"3")
        await floor
        assert (await before, await again) == (Written(False), Written(False))
        assert await below == Newer(make_version(START + 8, 0))
        assert await at == Newer(make_version(START + 8, 0))
        assert await nothing == Absent()
        assert await above == Written(True)


async def test_floor_never_falls_and_survives_restart(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        assert store.floor() == 0
        await store.submit(lambda batch: batch.raise_floor(9))
        await store.submit(lambda batch: batch.raise_floor(4))
    async with open_store(tmp_path) as store:
        assert store.floor() == 9
    async with lone_owner(tmp_path) as lone:
        assert lone.node.clock.reading >= 9


# Announcing


async def test_announced_lags_by_more_than_a_request_lives(tmp_path: Path) -> None:
    async with lone_owner(tmp_path, runs=True) as lone:
        assert lone.node.config.stable_lag_s > lone.node.config.answer_s
        version = await lone.node.clock.stamp()
        await lone.pass_time(1.75)
        assert lone.node.stability.announced() < clock_of(version)
        await lone.pass_time(1.0)
        assert clock_of(version) <= lone.node.stability.announced() <= lone.store.floor()
        announced = lone.node.stability.announced()
        await lone.pass_time(5.0)
        assert lone.node.stability.announced() == announced, "an idle node has no news"


async def test_announced_only_when_all_co_owners_have_confirmed(tmp_path: Path) -> None:
    async with lone_owner(tmp_path, B, C, runs=True) as lone:
        b, c = CoOwner(), CoOwner()
        lone.peers.script |= {B: b, C: c}
        await lone.pass_time(1.0)
        first = await lone.node.replica.write(KEY, b"1", EMPTY)
        assert first.context == EMPTY
        await lone.pass_time(3.0)
        announced = lone.node.stability.announced()
        assert announced >= clock_of(lone.store.get(partition_of(KEY), KEY).version)  # type: ignore[union-attr]

        del lone.peers.script[C]
        await lone.pass_time(1.0)
        second = await lone.node.replica.write(KEY, b"2", EMPTY)
        version = lone.store.get(partition_of(KEY), KEY).version  # type: ignore[union-attr]
        assert second.context == Context({hash_of(KEY): Sight(version, owner_id(A))})
        await lone.pass_time(5.0)
        assert lone.node.stability.announced() < clock_of(version)

        lone.peers.script[C] = c
        await lone.pass_time(5.0)
        assert lone.node.stability.announced() >= clock_of(version)


async def test_announced_nothing_before_the_first_comparison_nor_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with lone_owner(tmp_path, B, runs=True) as lone:
            await lone.node.clock.stamp()
            await lone.pass_time(4.0)
            assert lone.node.stability.announced() == 0, "B was never heard"
            lone.peers.script[B] = CoOwner()
            await lone.pass_time(1.0)
            assert lone.node.stability.announced() > 0, "what was durable before needs no further lag"


async def test_announced_nothing_under_a_new_view_until_it_is_settled(tmp_path: Path) -> None:
    async with lone_owner(tmp_path, B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        await lone.node.clock.stamp()
        await lone.pass_time(3.0)
        assert lone.node.stability.announced() > 0
        del lone.peers.script[B]
        await lone.node.views.adopt(successor(environment_view(lone.node.config), A, B, C), B)
        assert lone.node.stability.announced() == 0
        await lone.pass_time(3.0)
        assert lone.node.stability.announced() == 0


# Rendering


@pytest.mark.parametrize(
    ("b", "epoch", "left"),
    [(5, 0, False), (9, 0, False), (4, 0, True), (None, 0, True), (5, 1, True)],
    ids=["stable", "beyond", "not yet", "never heard of", "of another view"],
)
async def test_unstable_is_what_an_owner_has_not_announced(
    tmp_path: Path, b: int | None, epoch: int, left: bool
) -> None:
    async with lone_owner(tmp_path, B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        lone.node.clock.observe(START + 100)
        await lone.pass_time(3.0)
        assert lone.node.stability.announced() >= START + 100
        if b is not None:
            heard(lone, B, START + b, epoch)
        for context in (
            Context({hash_of(KEY): Sight(v(5), owner_id(B))}),
            Context({}, {owner_id(A): START + 5}),
            Context({}, {ANYBODY: START + 5}),
        ):
            assert lone.node.stability.unstable(context) == (context if left else EMPTY)


async def test_unstable_forgets_owners_of_old_and_what_no_clock_can_have_stamped(tmp_path: Path) -> None:
    async with lone_owner(tmp_path, B) as lone:
        absurd = (lone.time.wall_ms() + LEAD_MS_MAX + 1) << 16
        context = Context({hash_of(KEY): Sight(make_version(absurd, 1), owner_id(B))}, {owner_id("gone:1"): START})
        assert lone.node.stability.unstable(context) == EMPTY
        near = Context({hash_of(KEY): Sight(make_version(absurd - 1, 1), owner_id(B))})
        assert lone.node.stability.unstable(near) == near


async def test_context_taken_in_puts_the_clock_above_it(tmp_path: Path) -> None:
    async with lone_owner(tmp_path, B) as lone:
        ahead = START + (3_600_000 << 16)
        taken = lone.node.replica.take_context({"v": 1, "s": {f"{owner_id(B):016x}": f"{ahead:016x}"}})
        assert taken == Context({}, {owner_id(B): ahead})
        assert clock_of(await lone.node.clock.stamp()) > ahead
