"""Many writes in one transaction become what each would become alone, one after the other. The rules for each are told
by the tables of `test_store` and `test_store_conditions`."""

from __future__ import annotations

import random
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Fenced, StorageFault
from node.storage.store import Store
from node.storage.writes import Absent, Newer, WriteOutcome, Written
from node.values.record import Record
from node.values.version import Version, make_version
from ring.hashing import partition_of
from tests.node.parts import on_virtual_time, store_on
from tests.node.storage.opening import UNFENCED
from tests.sim.disk import Disk

Job: TypeAlias = tuple[int, bytes, Version, bytes | None]
NOW_MS = 5000
KEYS = [b"a", b"b", b"c"]


def now_ms() -> int:
    return NOW_MS


def new_store() -> Store:
    return store_on(Disk(random.Random(1)))


def job(key: bytes, clock: int, value: bytes | None = b"1") -> Job:
    return partition_of(key), key, make_version(clock, 1), value


JOBS = st.lists(
    st.builds(job, st.sampled_from(KEYS), st.integers(1, 5), st.sampled_from([b"1", b"2", None])),
    max_size=8,
)
HELD = st.dictionaries(
    st.sampled_from(KEYS),
    st.builds(
        Record,
        st.integers(1, 5).map(lambda clock: make_version(clock, 1)),
        st.sampled_from([b"1", None]),
        st.booleans(),
        st.just(b""),
        st.sampled_from([None, NOW_MS - 1, NOW_MS + 1]),
    ),
)


@given(HELD, JOBS)
def test_write_together_is_write_one_after_the_other(held: dict[bytes, Record], jobs: list[Job]) -> None:
    @on_virtual_time
    async def run() -> None:
        together, alone = new_store(), new_store()
        records = [(partition_of(key), key, record.encode()) for key, record in held.items()]
        for store in (together, alone):
            await store.merge(UNFENCED, records)
        outcomes: list[WriteOutcome] = [await alone.write(UNFENCED, *job, now_ms=now_ms) for job in jobs]
        assert await together.write_together(UNFENCED, jobs, now_ms) == outcomes
        for key in KEYS:
            assert together.get(partition_of(key), key) == alone.get(partition_of(key), key)

    run()


@on_virtual_time
async def test_write_together_tells_of_each() -> None:
    store = new_store()
    await store.write_together(UNFENCED, [job(b"newer", 9), job(b"old", 1)], now_ms)
    jobs = [job(b"new", 5), job(b"old", 5), job(b"newer", 5), job(b"nothing", 5, None)]
    newer = Newer(make_version(9, 1))
    assert await store.write_together(UNFENCED, jobs, now_ms) == [Written(False), Written(True), newer, Absent()]
    assert await store.write_together(UNFENCED, jobs[:2], now_ms) == [Written(False, True), Written(True, True)]


@on_virtual_time
async def test_write_together_under_another_view_writes_nothing() -> None:
    store = new_store()
    with pytest.raises(Fenced):
        await store.write_together(UNFENCED._replace(epoch=7), [job(b"k", 5)], now_ms)
    assert store.get(partition_of(b"k"), b"k") is None


@on_virtual_time
async def test_write_together_on_a_full_disk_writes_nothing() -> None:
    disk = Disk(random.Random(1))
    store = store_on(disk)
    await store.write_together(UNFENCED, [job(b"k", 5)], now_ms)
    disk.full = True
    with pytest.raises(StorageFault):
        await store.write_together(UNFENCED, [job(b"k", 6, None), job(b"l", 6)], now_ms)
    held = store.get(partition_of(b"k"), b"k")
    assert held is not None and held.has_value


@on_virtual_time
async def test_write_asks_what_time_it_is_only_where_something_expires() -> None:
    store, asked = new_store(), list[int]()

    def ask() -> int:
        asked.append(NOW_MS)
        return NOW_MS

    for clock in (1, 2):
        await store.write(UNFENCED, *job(b"k", clock), now_ms=ask)
    assert not asked
    await store.write(UNFENCED, *job(b"k", 3), expires_ms=NOW_MS, now_ms=ask)
    assert await store.write(UNFENCED, *job(b"k", 4), now_ms=ask) == Written(False), "it has expired just now"
    assert asked == [NOW_MS]
