"""The simulated disk: the contract of all engines, and what only it can do."""

from __future__ import annotations

import asyncio
import random

import pytest

from node.errors import CommitFailed, StorageFault
from tests.node.storage.engine_contract import DiskOf, EngineContract, PlainBatch, Storage, put
from tests.sim.disk import Disk, SimEngine


@pytest.fixture
def disk() -> Disk:
    return Disk(random.Random(0))


@pytest.fixture
def storage(disk: Disk) -> Storage:
    return lambda: lambda begin, committed: SimEngine(disk, begin, committed)


class SimDisk:
    def __init__(self, disk: Disk) -> None:
        self.fill = lambda: setattr(disk, "full", True)
        self.exhaust = lambda: setattr(disk, "exhausted", True)
        self.relieve = disk.mend


@pytest.fixture
def disk_of(disk: Disk) -> DiskOf:
    return SimDisk(disk)


class TestSimEngine(EngineContract):
    pass


def opened(disk: Disk) -> SimEngine:
    return SimEngine(disk, PlainBatch, lambda _: None)


async def test_disk_crash_loses_what_was_queued_and_keeps_what_was_committed(disk: Disk) -> None:
    engine = opened(disk)
    await engine.submit(put(b"old", b"1"))
    future = engine.submit(put(b"new", b"1"))
    engine.crash()
    assert not future.done()
    assert (disk.items.get(b"old"), disk.items.get(b"new")) == (b"1", None)


async def test_disk_crash_during_a_commit_leaves_all_of_it_or_nothing() -> None:
    left = set()
    for seed in range(20):
        disk = Disk(random.Random(seed))
        engine = opened(disk)
        futures = [engine.submit(put(key, b"1")) for key in (b"a", b"b")]
        await asyncio.sleep(0)  # The commit begins.
        assert not any(future.done() for future in futures)
        engine.crash()
        left.add(tuple(sorted(disk.items)))
    assert left == {(), (b"a", b"b")}


async def test_disk_that_hangs_commits_once_it_does_no_longer(disk: Disk) -> None:
    engine = opened(disk)
    disk.hung = True
    future = engine.submit(put(b"k", b"1"))
    await asyncio.sleep(0.2)
    assert not future.done() and engine.get(b"k") is None
    disk.mend()
    await future
    assert engine.get(b"k") == b"1"


async def test_disk_that_hangs_refuses_what_queues_behind_its_commit(disk: Disk) -> None:
    engine = SimEngine(disk, PlainBatch, lambda _: None, commit_s=0.1)
    disk.hung = True
    under_way = engine.submit(put(b"a", b"1"))
    await asyncio.sleep(0.01)
    with pytest.raises(StorageFault):
        await engine.submit(put(b"b", b"1"))
    with pytest.raises(StorageFault):
        await engine.submit(put(b"c", b"1"))
    disk.mend()
    await under_way
    await engine.submit(put(b"d", b"1"))
    assert [engine.get(key) for key in (b"a", b"b", b"c", b"d")] == [b"1", None, None, b"1"]


async def test_disk_that_fails_keeps_what_was_before_and_after_a_crash_may_have_either() -> None:
    left = set()
    for seed in range(20):
        disk = Disk(random.Random(seed))
        engine = opened(disk)
        await engine.submit(put(b"k", b"old"))
        disk.failing = True
        with pytest.raises(CommitFailed):
            await engine.submit(put(b"k", b"new"))
        assert engine.get(b"k") == b"old"
        engine.crash()
        left.add(disk.items[b"k"])
    assert left == {b"old", b"new"}


async def test_disk_whose_commit_failed_has_nothing_of_it_after_the_next_one() -> None:
    for seed in range(20):
        disk = Disk(random.Random(seed))
        engine = opened(disk)
        disk.failing = True
        with pytest.raises(CommitFailed):
            await engine.submit(put(b"failed", b"1"))
        disk.mend()
        await engine.submit(put(b"next", b"1"))
        engine.crash()
        assert list(disk.items) == [b"next"]
