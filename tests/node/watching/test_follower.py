"""Listening to all owners of a shard: whom to listen to together, and when all begins anew."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest

from gossip.view import Address
from node.net.messages import OPENING, Answer, Tail, Tailed
from node.values.record import Record, as_tombstone
from node.values.version import make_version
from node.watching.follower import Follower, agreeing
from node.watching.joint import Event
from tests.node.parts import A, B, C, node_a, on_virtual_time, running


def tailed(*left_out: Address) -> Tailed:
    return Tailed(1, (), 0, True, left_out)


@pytest.mark.parametrize(
    ("left_out", "kept"),
    [
        ({A: [], B: [], C: []}, [A, B, C]),
        ({A: [C], B: [], C: []}, [A, B]),
        ({A: [], B: [A], C: []}, [A, C]),
        ({A: [B, C], B: [A, C], C: [A, B]}, [A]),
        ({B: [A], C: [A]}, [B, C]),
        ({}, []),
    ],
)
def test_owners_that_left_each_other_out_are_not_listened_to_together(
    left_out: dict[Address, list[Address]], kept: list[Address]
) -> None:
    assert list(agreeing({owner: tailed(*others) for owner, others in left_out.items()})) == kept


class Owners:
    """Owners whose logs a test writes, and one listener."""

    def __init__(self, *names: Address) -> None:
        self.names = names
        self.logs: defaultdict[Address, list[bytes]] = defaultdict(list)
        self.left_out: dict[Address, tuple[Address, ...]] = {}
        self.down: set[Address] = set()
        self.whys: list[str] = []
        self.told: list[Event] = []
        self.asked: list[tuple[Address, Tail]] = []

    async def ask(self, owner: Address, tail: Tail) -> Answer | None:
        self.asked.append((owner, tail))
        until = asyncio.get_running_loop().time() + tail.wait_ms / 1000
        while True:
            await asyncio.sleep(0.001)
            if owner in self.down:
                return None
            log, out = self.logs[owner], self.left_out.get(owner, ())
            if tail.log == OPENING:
                return Tailed(9, (), len(log), True, out)
            if len(log) > tail.after or asyncio.get_running_loop().time() >= until:
                part = tuple((at, b"k", record) for at, record in enumerate(log, 1) if at > tail.after)
                return Tailed(9, part, len(log), True, out if part else ())

    def follow(self, shard: Follower, why: str) -> None:
        self.whys.append(why)

    def tell(self, shard: Follower, events: Sequence[Event]) -> None:
        self.told += events

    @property
    def clocks(self) -> list[int]:
        return [int.from_bytes(event.record[:6]) for event in self.told]


def version(clock: int) -> bytes:
    return Record(make_version(clock << 16, 1), b"1", False).encode()


def expiry(clock: int) -> bytes:
    return as_tombstone(Record(make_version(clock << 16, 1), b"1", False, expires_ms=9).encode())


async def follower_of(owners: Owners) -> Follower:
    a = await node_a(A)
    return Follower(a.config, owners.names, owners.ask, owners)


@on_virtual_time
async def test_what_owners_tell_is_told_in_order_and_without_waiting_for_long() -> None:
    owners = Owners(A, B)
    follower = await follower_of(owners)
    async with running(follower.run()):
        await asyncio.sleep(0.1)
        owners.logs[A] += [version(1), version(3)]
        owners.logs[B] += [version(2)]
        await asyncio.sleep(0.1)
        assert owners.clocks == [1, 2, 3] and owners.whys == ["it begins"]
        assert {owner: place.at for owner, place in follower.positions.items()} == {A: 2, B: 1}


@on_virtual_time
async def test_an_owner_that_is_lost_is_a_gap_and_another_one_when_it_is_back() -> None:
    owners = Owners(A, B)
    follower = await follower_of(owners)
    async with running(follower.run()):
        await asyncio.sleep(0.1)
        owners.down.add(A)
        owners.logs[B] += [version(1)]
        await asyncio.sleep(1.5)
        assert owners.whys == ["it begins", "an owner of some keys could not be heard"]
        assert list(follower.positions) == [B]
        last = [tail for _, tail in owners.asked if tail.log != OPENING][-1]
        assert last.with_copied and last.with_expired, "what it would have told, B tells"
        owners.logs[B] += [version(2)]
        await asyncio.sleep(0.1)
        assert owners.clocks[-1] == 2
        owners.down.clear()
        await asyncio.sleep(2)
        assert owners.whys[2:] == ["an owner of some keys is heard again"] and list(follower.positions) == [A, B]


@on_virtual_time
async def test_an_owner_that_another_one_leaves_out_is_not_listened_to() -> None:
    owners = Owners(A, B)
    follower = await follower_of(owners)
    async with running(follower.run()):
        await asyncio.sleep(0.1)
        owners.left_out[A] = (B,)
        owners.logs[A] += [version(1)]
        await asyncio.sleep(0.5)
        assert owners.whys[1:] == ["an owner of some keys was left out of a write"] and list(follower.positions) == [A]
        await asyncio.sleep(5)
        assert len(owners.whys) == 2, "no gap for as long as it is left out"


@on_virtual_time
async def test_what_is_older_than_what_was_heard_first_is_told_to_nobody() -> None:
    """A and B took versions at once: one stood in front of the beginning of a log, the other behind it."""
    owners = Owners(A, B)
    follower = await follower_of(owners)

    async def while_it_begins() -> None:
        while not any(tail.log != OPENING for _, tail in owners.asked):
            await asyncio.sleep(0.0005)
        owners.logs[A] += [version(5)]
        while not owners.whys:
            await asyncio.sleep(0.0005)
        owners.logs[B] += [version(4)]

    async with running(follower.run(), while_it_begins()):
        await asyncio.sleep(0.1)
        owners.logs[B] += [version(6)]
        await asyncio.sleep(0.1)
        assert owners.clocks == [6]


@on_virtual_time
async def test_what_had_expired_at_one_owner_before_its_log_began_another_one_tells() -> None:
    """Whoever listed the keys meanwhile may have been answered by that one, where it was still to expire."""
    owners = Owners(A, B)
    follower = await follower_of(owners)

    async def while_it_begins() -> None:
        while not any(tail.log != OPENING for _, tail in owners.asked):
            await asyncio.sleep(0.0005)
        owners.logs[A] += [version(5), expiry(5)]

    async with running(follower.run(), while_it_begins()):
        await asyncio.sleep(0.1)
        assert not owners.told
        owners.logs[B] += [expiry(5)]
        await asyncio.sleep(0.1)
        assert [event.is_expiry for event in owners.told] == [True]


@on_virtual_time
async def test_what_was_missed_has_each_expiry_once() -> None:
    owners = Owners(A, B)
    follower = await follower_of(owners)
    async with running(follower.run()):
        await asyncio.sleep(0.1)
        owners.logs[A] += [expiry(1), expiry(2)]
        await asyncio.sleep(0.1)
        owners.logs[B] += [expiry(1)]
        await asyncio.sleep(0.1)
        missed = await follower.missed({A: 0, B: 0}, 10**6)
        assert missed is not None and [event.record for event in missed.events] == [expiry(1), expiry(2)]


@pytest.mark.parametrize("steps", range(8))
@on_virtual_time
async def test_listening_ends_though_an_owner_fails_just_when_it_is_ended(steps: int) -> None:
    owners, fails, asked = Owners(A, B), asyncio.Event(), asyncio.Event()

    async def ask(owner: Address, tail: Tail) -> Answer | None:
        if tail.log == OPENING:
            return tailed()
        asked.set()
        await (fails.wait() if owner == A else asyncio.sleep(100))
        return None

    a = await node_a(A)
    listening = asyncio.create_task(Follower(a.config, owners.names, ask, owners).run())
    await asyncio.wait_for(asked.wait(), 1)
    fails.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait([listening], timeout=5)
    was_ended = listening.cancelled()
    listening.cancel()
    assert was_ended


@on_virtual_time
async def test_what_was_missed_is_found_in_order() -> None:
    owners = Owners(A, B)
    follower = await follower_of(owners)
    async with running(follower.run()):
        await asyncio.sleep(0.1)
        owners.logs[A] += [version(1), version(3)]
        owners.logs[B] += [version(2)]
        await asyncio.sleep(0.1)
        missed = await follower.missed({A: 1, B: 0}, 10**6)
        assert missed is not None and missed.up_to == {A: 2, B: 1}
        assert [int.from_bytes(event.record[:6]) for event in missed.events] == [2, 3]
        assert await follower.missed({A: 0, B: 0}, 1) is not None, "so few fit in one answer"
        owners.down.add(A)
        assert await follower.missed({A: 1, B: 0}, 10**6) is None
