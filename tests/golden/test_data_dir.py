"""A data directory that a former release has left behind is read whole, and what is written now is the same, item for
item."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import closing
from functools import reduce
from operator import xor
from pathlib import Path

import msgspec
import pytest

from node.storage.identity import Identity, identify
from node.storage.keys import Setting, setting_place
from node.storage.store import Store
from node.storage.transaction import Stats, digest_of
from node.timing.clock import Memory
from node.values.donors import Share
from node.views.promisee import Promisee
from ring.hashing import PARTITIONS, partition_of
from ring.sets import bits_of
from tests.golden.data_dir import (
    BESIDE,
    COPIED,
    LOW_WATERMARK,
    MOVED,
    NOW_MS,
    PURGE_WATERMARK,
    RECORDS,
    STABLE_WATERMARK,
    STORE_ID,
    TARGET,
    B,
    C,
    D,
    fill,
    items_in,
    node_on,
    unpack,
    view_after,
)
from tests.node.storage.opening import open_store

PROMISEE = Promisee(2, C, TARGET)
CEILING = (NOW_MS + 5_000 + 1_000) << 16
"""A second above the stamp that was given, which went by the faster clock of C."""
SHARES = {B: Share(0, 1 << MOVED[1], bits_of((*COPIED, MOVED[0]))), D: Share(bits_of((8, 4095)))}
YOUNGER = {Setting.ADDRESS, Setting.CLOCK_ANCHOR, Setting.CLUSTER, Setting.FOUNDING}
"""What was not kept yet when the golden store was made."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    unpack(tmp_path)
    with closing(open_store(tmp_path)) as store:
        yield store


async def test_golden_store_passes_its_own_check(store: Store) -> None:
    store.check()
    assert store.occupied == {partition_of(key) for key, record in RECORDS.items() if record is not None}


@pytest.mark.parametrize("key", RECORDS, ids=lambda key: key[:10].decode(errors="ignore"))
async def test_golden_record_is_read(store: Store, key: bytes) -> None:
    assert store.get(partition_of(key), key) == RECORDS[key]


async def test_golden_figures_are_read(store: Store) -> None:
    assert store.stats(partition_of(BESIDE)).records == 2
    for partition in range(PARTITIONS):
        there = {key: record for key, record in RECORDS.items() if record and partition_of(key) == partition}
        live = sum(record.has_value for record in there.values())
        digest = reduce(xor, (digest_of(key, record.version) for key, record in there.items()), 0)
        assert store.stats(partition) == Stats(live, len(there), digest)


async def test_golden_settings_are_read(store: Store) -> None:
    assert store.setting(Setting.FORMAT) == b"2"
    assert store.setting(Setting.STORE_ID) == STORE_ID.to_bytes(8)
    assert store.setting(Setting.INCARNATION) == (1).to_bytes(8)
    assert store.setting(Setting.UNFILLED) == b"1"
    assert msgspec.msgpack.decode(store.setting(Setting.CLOCK) or b"", type=Memory) == Memory(CEILING, 5_000)
    assert msgspec.msgpack.decode(store.setting(Setting.PROMISE) or b"", type=Promisee) == PROMISEE


async def test_golden_watermarks_are_read(store: Store) -> None:
    assert store.low_watermark() == LOW_WATERMARK
    assert (store.stable_watermark, store.purge_watermark) == (STABLE_WATERMARK, PURGE_WATERMARK)


async def test_golden_donors_are_read(store: Store) -> None:
    assert store.donors() == SHARES


async def test_golden_identity_is_taken_up(store: Store) -> None:
    identity = await identify(store, random.Random(2), "any", "a:1")
    assert identity == Identity(identity.store_id, 2, False)
    assert identity.store_id != STORE_ID


async def test_golden_node_is_what_it_was(store: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    with closing(open_store(tmp_path_factory.mktemp("empty"))) as empty:
        view = view_after((await node_on(empty)).views.current)
    node = await node_on(store)
    await node.start()
    assert store.view() == node.views.current == view
    assert await store.submit(lambda batch: batch.fence) == view.id
    assert node.views.donors.shares == SHARES
    assert node.views.promisee() == PROMISEE
    assert node.clock.reading == CEILING
    assert node.clock.now_ms() == NOW_MS + 5_000
    node.check()


async def test_golden_store_written_now_has_the_same_items(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    unpack(old)
    with closing(open_store(new)) as store:
        await fill(store)
    younger = {setting_place(setting) for setting in YOUNGER}
    assert [item for item in items_in(new) if item[0] not in younger] == items_in(old)
    assert younger < {place for place, _ in items_in(new)}
