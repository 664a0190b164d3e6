"""What expires when, on disk: kept along with the records, told in the order of time, and turned into tombstones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from node.storage.expiries import TURNED_BY_A_JOB
from node.storage.identity import identify
from node.storage.keys import FORMAT, FORMAT_WITH_EXPIRIES, Expiring, Setting
from node.storage.store import Store
from node.values.record import Record
from node.values.version import make_version
from tests.node.storage.opening import UNFENCED, open_store

ALL = 10**6


def record(clock: int, expires_ms: int | None = None, value: bytes | None = b"1") -> Record:
    return Record(make_version(clock, 1), value, False, b"", expires_ms)


async def hold(store: Store, key: bytes, *records: Record, partition: int = 1) -> None:
    for held in records:
        await store.merge(UNFENCED, [(partition, key, held.encode())])


def due(store: Store, now_ms: int = ALL, count: int = 1000) -> Sequence[tuple[int, int, bytes]]:
    return store.expiries.due(now_ms, count)


async def test_expiries_are_told_in_the_order_of_time(store: Store) -> None:
    assert store.expiries.next_ms() is None and due(store) == []
    await hold(store, b"c", record(1, 30))
    await hold(store, b"b", record(1, 20), partition=4095)
    await hold(store, b"a", record(1, 20), partition=2)
    await hold(store, b"stays", record(1))
    assert store.expiries.next_ms() == 20
    assert due(store) == [(20, 2, b"a"), (20, 4095, b"b"), (30, 1, b"c")]
    assert due(store, 29) == [*due(store, count=0)[:1], (20, 4095, b"b")]
    assert due(store, 19) == []
    store.check()


@pytest.mark.parametrize(
    ("then", "left"),
    [
        ([record(2, 50)], [50]),
        ([record(2)], []),
        ([record(2, value=None)], []),
        ([record(2, 50, value=None)], []),
        ([record(2), record(3, 40)], [40]),
    ],
    ids=["later", "to stay", "deleted", "turned elsewhere", "to stay, then not"],
)
async def test_expiries_of_a_key_are_those_of_its_record(store: Store, then: Sequence[Record], left: list[int]) -> None:
    await hold(store, b"k", record(1, 30), *then)
    assert [expires_ms for expires_ms, *_ in due(store)] == left
    assert store.expiries.count == len(left)
    store.check()
    held = store.get(1, b"k")
    assert held is not None
    await store.drop(UNFENCED, [(1, b"k", held.version)])
    assert due(store) == []
    store.check()


async def test_expiries_turned_are_tombstones_of_their_version_and_out_of_the_figures(store: Store) -> None:
    before = Record(make_version(1, 1), b"1", True, b"context", 20)
    await hold(store, b"k", before)
    digest = store.stats(1).digest
    await store.expiries.turn([Expiring(20, 1, b"k")], 25)
    assert store.get(1, b"k") == before._replace(value=None)
    stats = store.stats(1)
    assert (stats.live, stats.records, stats.digest) == (0, 1, digest), "copies that have not turned it are alike"
    assert due(store) == [] and store.expiries.told_ms() == 25
    store.check()


@pytest.mark.parametrize("later", [record(2), record(2, 50), record(2, value=None), None])
async def test_expiries_do_not_turn_what_was_overwritten_meanwhile(store: Store, later: Record | None) -> None:
    await hold(store, b"k", record(1, 20))
    found = store.expiries.due(30, 10)
    await (store.drop(UNFENCED, [(1, b"k", record(1).version)]) if later is None else hold(store, b"k", later))
    await store.expiries.turn(found, 30)
    assert store.get(1, b"k") == later
    store.check()


async def test_expiries_turn_many_in_several_jobs(store: Store) -> None:
    keys = [b"%04d" % number for number in range(3 * TURNED_BY_A_JOB + 1)]
    await store.merge(UNFENCED, [(int(key) % 7, key, record(1, 20).encode()) for key in keys])
    await store.expiries.turn(store.expiries.due(20, 10 * len(keys)), 20)
    assert sum(store.stats(partition).live for partition in range(7)) == 0 and due(store) == []
    assert store.expiries.count == 0
    store.check()


async def test_expiries_are_there_after_a_restart(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        await hold(store, b"k", record(1, 20))
        await store.expiries.turn([], 7)
        await asyncio.gather(store.expiries.turn([Expiring(19, 1, b"k")], 7))
    with closing(open_store(tmp_path)) as store:
        assert due(store) == [(20, 1, b"k")] and store.expiries.told_ms() == 7
        assert store.expiries.count == 1
        store.check()


async def test_expiries_are_counted_at_a_start_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_store(tmp_path)) as store:
        records = [(number % 7, b"%04d" % number, record(1, 20 + number % 3).encode()) for number in range(50)]
        await store.merge(UNFENCED, records)
        assert store.expiries.count == 50
    monkeypatch.setattr("node.storage.expiries.SCANNED_BYTES", 4 * 32)
    with closing(open_store(tmp_path)) as store:
        assert store.expiries.count == 50
        store.check()


async def test_disk_is_of_another_form_from_the_first_record_on_that_expires(tmp_path: Path) -> None:
    """A release that knows of none refuses it with one line, rather than to fail over what it cannot read."""
    with closing(open_store(tmp_path)) as store:
        await identify(store, Random(1), "kvs", "a:1")
        await hold(store, b"stays", record(1))
        assert store.setting(Setting.FORMAT) == FORMAT
        await hold(store, b"k", record(1, 20))
        assert store.setting(Setting.FORMAT) == FORMAT_WITH_EXPIRIES
    with closing(open_store(tmp_path)) as store:
        assert (await identify(store, Random(1), "kvs", "a:1")).incarnation == 2
        assert store.setting(Setting.FORMAT) == FORMAT_WITH_EXPIRIES
