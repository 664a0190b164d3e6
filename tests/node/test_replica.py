"""What a node does with one operation: whom it asks first, and what it makes of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gossip.view import Address, Stamp
from node.clock import LEAD_MS_MAX, HybridClock
from node.config import Config
from node.errors import PeerLost, Unavailable
from node.records import Record, clock_of, make_version
from node.replica import Replica
from node.store import Store
from node.views import Views
from node.wire import Answer, Fetch, Fetched, Request, Superseded, Value, ViewIs, Write, Wrote
from ring.hashing import partition_of
from tests.node.fakes import HandTime, ScriptedPeers, open_store, successor

A, B, C = "a:1", "b:1", "c:1"


class OpenGate:
    """A node that never stood still."""

    def is_open(self) -> bool:
        return True

    async def opened(self, deadline: float) -> bool:
        return True


class Bench:
    """Node A of two, and what it stands on."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.time = HandTime()
        self.peers = ScriptedPeers()
        self.views = Views(config, store, self.time, self.peers)
        self.clock = HybridClock(self.time, 1, 0, self._store_ceiling)
        self.replica = Replica(config, self.time, self.clock, store, self.views, OpenGate(), self.peers)  # type: ignore[arg-type]

    async def _store_ceiling(self, ceiling: int) -> None:
        pass

    def key_of(self, owner: Address) -> bytes:
        return next(key for key in (b"k%d" % n for n in range(100)) if self.replica.owner(key) == owner)

    def wait_for(self, donor: Address, key: bytes) -> None:
        self.views.donors.add([(partition_of(key), donor)])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_store(tmp_path) as store:
        bench = Bench(store, Config.for_test(A, (A, B), tmp_path))
        await bench.views.start()
        yield bench


def holding(record: Record | None) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        assert isinstance(request, Fetch)
        return Fetched(None if record is None else record.encode())

    return answer


OLD = Record(make_version(5 << 16, 9), b'"old"', replaced=False)


async def test_read_without_donors_asks_nobody(bench: Bench) -> None:
    assert bench.replica.read_here(bench.key_of(A)) == Value(None)
    assert bench.peers.asked == []


async def test_read_of_a_key_on_its_way_asks_the_donor(bench: Bench) -> None:
    key = bench.key_of(A)
    bench.wait_for(B, key)
    bench.peers.script[B] = holding(OLD)
    assert bench.replica.read_here(key) is None
    assert (await bench.replica.read(key)).answer == Value(b'"old"')


async def test_read_newer_record_here_wins_over_the_donors(bench: Bench) -> None:
    key = bench.key_of(A)
    await bench.replica.write(key, b'"new"')
    bench.wait_for(B, key)
    bench.peers.script[B] = holding(OLD)
    assert (await bench.replica.read(key)).answer == Value(b'"new"')


async def test_read_silent_donor_inside_the_view_makes_a_miss_unsure(bench: Bench) -> None:
    key = bench.key_of(A)
    bench.wait_for(B, key)
    with pytest.raises(Unavailable):
        await bench.replica.read(key)
    with pytest.raises(Unavailable):
        await bench.replica.write(key, b"1")
    assert bench.store.get(partition_of(key), key) is None


async def test_read_silent_donor_outside_the_view_is_passed_over(bench: Bench) -> None:
    key = bench.key_of(A)
    bench.wait_for(C, key)
    assert (await bench.replica.read(key)).answer == Value(None)
    assert (await bench.replica.write(key, b"1")).answer == Wrote(False)


async def test_read_donor_outside_the_view_that_cannot_adopt_is_not_passed_over(bench: Bench) -> None:
    """Its disk is full, say: it still serves what it has under the view it has."""
    before = bench.views.current
    await bench.views.adopt(successor(before, A, B), B)
    key = bench.key_of(A)
    bench.wait_for(C, key)
    bench.peers.script[C] = lambda _: ViewIs(before.encoded)
    with pytest.raises(Unavailable):
        await bench.replica.read(key)


async def test_write_finds_what_the_donor_has(bench: Bench) -> None:
    key = bench.key_of(A)
    bench.wait_for(B, key)
    bench.peers.script[B] = holding(OLD)
    assert (await bench.replica.write(key, b"1")).answer == Wrote(True)


async def test_delete_of_what_only_the_donor_has_leaves_a_tombstone(bench: Bench) -> None:
    key = bench.key_of(A)
    bench.wait_for(B, key)
    bench.peers.script[B] = holding(OLD)
    assert (await bench.replica.write(key, None)).answer == Wrote(True)
    held = bench.store.get(partition_of(key), key)
    assert held is not None and not held.live


async def test_write_here_is_stamped_above_a_newer_version(bench: Bench) -> None:
    key = bench.key_of(A)
    ahead = make_version((bench.time.wall_ms() + 5000) << 16, 9)
    await bench.store.merge(bench.views.stamp, [(partition_of(key), key, Record(ahead, b"0", False))])
    assert (await bench.replica.write(key, b"1")).answer == Wrote(True)
    held = bench.store.get(partition_of(key), key)
    assert held is not None and held.version > ahead


async def test_write_passes_a_version_that_only_a_wrong_clock_can_have_stamped(bench: Bench) -> None:
    key = bench.key_of(A)
    absurd = make_version((bench.time.wall_ms() + 2 * LEAD_MS_MAX) << 16, 9)
    await bench.store.merge(bench.views.stamp, [(partition_of(key), key, Record(absurd, b"0", False))])
    outcomes = await asyncio.gather(*(bench.replica.write(key, value) for value in (b"1", b"2")))
    assert [outcome.answer for outcome in outcomes] == [Wrote(True)] * 2
    held = bench.store.get(partition_of(key), key)
    assert held is not None and held.version > absurd and held.value in (b"1", b"2")
    assert clock_of(await bench.clock.stamp()) < clock_of(absurd)


class Owner:
    """Node B, which answers writes as told, in turn; keeps the versions it was sent."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.versions: list[bytes] = []

    def __call__(self, request: Request) -> Answer:
        if not isinstance(request, Write):
            return ViewIs(b"")
        self.versions.append(request.version)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_write_elsewhere_repeated_keeps_its_version(bench: Bench) -> None:
    owner = bench.peers.script[B] = Owner(PeerLost("reset"), Wrote(False))
    outcome = await bench.replica.write(bench.key_of(B), b"1")
    assert (outcome.answer, outcome.served_by) == (Wrote(False), B)
    assert len(set(owner.versions)) == 1


async def test_write_elsewhere_refused_is_stamped_above(bench: Bench) -> None:
    ahead = make_version((bench.time.wall_ms() + 5000) << 16, 9)
    owner = bench.peers.script[B] = Owner(Superseded(ahead), Superseded(ahead), Wrote(True))
    assert (await bench.replica.write(bench.key_of(B), b"1")).answer == Wrote(True)
    first, second, third = map(clock_of, owner.versions)
    assert first < clock_of(ahead) < second < third


async def test_write_elsewhere_that_may_be_stored_is_never_stamped_anew(bench: Bench) -> None:
    ahead = make_version((bench.time.wall_ms() + 5000) << 16, 9)
    owner = bench.peers.script[B] = Owner(PeerLost("reset"), Superseded(ahead))
    with pytest.raises(Unavailable):
        await bench.replica.write(bench.key_of(B), b"1")
    assert len(set(owner.versions)) == 1


async def test_owner_down_is_told_at_once(bench: Bench) -> None:
    with pytest.raises(Unavailable):
        await bench.replica.read(bench.key_of(B))
    assert len(bench.peers.asked) == 1


async def test_owner_under_a_later_view_is_believed(bench: Bench) -> None:
    key = bench.key_of(B)
    later = successor(bench.views.current, A)
    bench.peers.script[B] = lambda request: (
        ViewIs(later.encoded) if not isinstance(request, Fetch) else holding(OLD)(request)
    )
    outcome = await bench.replica.read(key)
    assert (outcome.answer, outcome.served_by) == (Value(None), None)
    assert bench.views.stamp == Stamp(*later.stamp)
