"""The rules of the store: tables for each, and a dumb dictionary that must agree after any sequence of
jobs.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.view import Stamp, View
from node.disk import open_engine
from node.errors import Fenced
from node.records import Record, Version, clock_of, decode_record, make_version
from node.store import Absent, Newer, Stats, Store, Unsure, WriteOutcome, Written
from ring.hashing import PARTITIONS

UNFENCED = Stamp(-1, 0)
"""What is in force on an empty disk."""
MAP_BYTES = 2**20

VIEW = View(
    lineage=0,
    epoch=0,
    base=None,
    coordinator="",
    repl_factor=None,
    shards=(("10.0.0.1:80",),),
    table=bytes(2 * PARTITIONS),
    donors=(),
)


def open_store(path: Path) -> Store:
    return Store(open_engine(path, asyncio.get_running_loop(), MAP_BYTES))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    with closing(open_store(tmp_path)) as store:
        yield store


def v(clock: int, store_id: int = 1) -> Version:
    return make_version(clock, store_id)


def live(clock: int, value: bytes = b"1", *, replaced: bool = False) -> Record:
    return Record(v(clock), value, replaced)


def tombstone(clock: int) -> Record:
    return Record(v(clock), None, True)


# Versions and records


def test_version_compares_by_clock_then_store_id() -> None:
    versions = [v(0, 9), v(1, 0), v(1, 1), v(256, 0), v(2**64 - 1, 2**64 - 1)]
    assert versions == sorted(versions)
    assert [clock_of(version) for version in versions] == [0, 1, 1, 256, 2**64 - 1]


@pytest.mark.parametrize("record", [live(1), live(1, b"", replaced=True), tombstone(2), Record(v(3), None, False)])
def test_record_decode_of_encode_is_the_record(record: Record) -> None:
    assert decode_record(record.encode()) == record


@pytest.mark.parametrize("encoded", [b"", bytes(16), bytes(16) + b"\x04", bytes(16) + b"\xff1"])
def test_record_decode_rejects_what_is_none(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        decode_record(encoded)


# Writes


@pytest.mark.parametrize(
    ("held", "value", "seen", "sure", "outcome", "after"),
    [
        pytest.param(None, b"1", None, True, Written(False), live(5), id="put-new"),
        pytest.param(live(4), b"1", None, True, Written(True), live(5, replaced=True), id="put-over-live"),
        pytest.param(tombstone(4), b"1", None, True, Written(False), live(5), id="put-over-tombstone"),
        pytest.param(live(6), b"1", None, True, Newer(v(6)), live(6), id="put-under-newer"),
        pytest.param(tombstone(6), b"1", None, True, Newer(v(6)), tombstone(6), id="put-under-newer-tombstone"),
        pytest.param(live(5), b"1", None, True, Written(False), live(5), id="put-twice"),
        pytest.param(
            live(5, replaced=True),
            b"1",
            None,
            True,
            Written(True),
            live(5, replaced=True),
            id="put-twice-over",
        ),
        pytest.param(None, None, None, True, Absent(), None, id="delete-nothing"),
        pytest.param(live(4), None, None, True, Written(True), tombstone(5), id="delete-live"),
        pytest.param(tombstone(4), None, None, True, Absent(), tombstone(4), id="delete-deleted"),
        pytest.param(tombstone(6), None, None, True, Absent(), tombstone(6), id="delete-deleted-later"),
        pytest.param(live(6), None, None, True, Newer(v(6)), live(6), id="delete-under-newer"),
        pytest.param(tombstone(5), None, None, True, Written(True), tombstone(5), id="delete-twice"),
        pytest.param(None, b"1", live(4), True, Written(True), live(5, replaced=True), id="put-over-seen"),
        pytest.param(None, b"1", tombstone(4), True, Written(False), live(5), id="put-over-seen-tombstone"),
        pytest.param(live(3), None, tombstone(4), True, Absent(), tombstone(4), id="delete-seen-deleted"),
        pytest.param(None, b"1", live(6), True, Newer(v(6)), live(6), id="put-under-seen"),
        pytest.param(live(4), None, live(3), True, Written(True), tombstone(5), id="delete-seen-older"),
        pytest.param(None, b"1", live(5), True, Written(False), live(5), id="put-seen-already"),
        pytest.param(None, b"1", None, False, Unsure(), None, id="put-unsure"),
        pytest.param(None, None, None, False, Unsure(), None, id="delete-unsure"),
        pytest.param(live(4), b"1", None, False, Written(True), live(5, replaced=True), id="put-held-is-sure"),
        pytest.param(None, b"1", live(4), False, Written(True), live(5, replaced=True), id="put-seen-is-sure"),
    ],
)
async def test_store_write(
    store: Store,
    held: Record | None,
    value: bytes | None,
    seen: Record | None,
    sure: bool,
    outcome: WriteOutcome,
    after: Record | None,
) -> None:
    if held is not None:
        await store.merge(UNFENCED, [(7, b"k", held)])
    for _ in range(2):  # doing it twice is doing it once
        assert await store.write(UNFENCED, 7, b"k", v(5), value, seen, sure) == outcome
        assert store.get(7, b"k") == after


async def test_store_same_key_in_two_partitions_is_two_keys(store: Store) -> None:
    await store.write(UNFENCED, 1, b"k", v(1), b"1")
    assert store.get(2, b"k") is None
    assert [key for key, _ in store.scan(1, None, 10**6)] == [b"k"]
    assert store.scan(0, None, 10**6) == store.scan(2, None, 10**6) == []


async def test_store_scan_goes_on_after_the_last_key(store: Store) -> None:
    keys = [b"a", b"a\0", b"b", b"c" * 200]
    await store.merge(UNFENCED, [(PARTITIONS - 1, key, live(1)) for key in keys])
    found: list[bytes] = []
    while page := store.scan(PARTITIONS - 1, found[-1] if found else None, 1):
        found += [key for key, _ in page]
    assert found == keys


# The fence


def jobs(store: Store, fence: Stamp) -> dict[str, Callable[[], Any]]:
    return {
        "write": lambda: store.write(fence, 0, b"k", v(9), b"9"),
        "merge": lambda: store.merge(fence, [(0, b"k", live(9))], [(0, "a:1")]),
        "drop": lambda: store.drop(fence, [(0, b"k", v(1))]),
        "change_donors": lambda: store.change_donors(fence, [(1, "b:1")], [(0, "a:1")]),
    }


@pytest.mark.parametrize("name", list(jobs(None, UNFENCED)))  # type: ignore[arg-type]
async def test_store_job_of_a_left_view_is_fenced_and_writes_nothing(store: Store, name: str) -> None:
    await store.write(UNFENCED, 0, b"k", v(1), b"1")
    await store.change_donors(UNFENCED, iter([(0, "a:1")]))
    entered = store.submit(lambda batch: batch.enter(VIEW))
    late = jobs(store, UNFENCED)[name]()  # queued while the view is not yet on the disk
    await entered
    for attempt in (late, jobs(store, UNFENCED)[name](), jobs(store, Stamp(0, 1))[name]()):
        with pytest.raises(Fenced, match="0/"):
            await attempt
    assert store.get(0, b"k") == live(1)
    assert list(store.donors()) == [(0, "a:1")]
    await jobs(store, VIEW.stamp)[name]()


async def test_store_remembers_view_fence_settings_donors_and_stats(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        assert (store.view(), store.setting("id")) == (None, None)
        await store.set("id", b"me")
        await store.submit(lambda batch: batch.enter(VIEW))
        await store.write(VIEW.stamp, 3, b"k", v(1), b"1")
        await store.change_donors(VIEW.stamp, [(3, "[::1]:80"), (4095, "b:1")])
        stats = store.stats(3)
    with closing(open_store(tmp_path)) as store:
        assert (store.view(), store.setting("id")) == (VIEW, b"me")
        assert store.stats(3) == stats == Stats(1, 1, xxhash.xxh3_64_intdigest(b"k" + v(1)))
        assert list(store.donors()) == [(3, "[::1]:80"), (4095, "b:1")]
        assert await store.submit(lambda batch: batch.setting("id")) == b"me"
        with pytest.raises(Fenced):
            await store.write(UNFENCED, 3, b"k", v(2), b"2")


async def test_store_merge_that_finishes_a_donor_forgets_it(store: Store) -> None:
    await store.change_donors(UNFENCED, [(1, "a:1"), (1, "b:1"), (2, "a:1")])
    await store.merge(UNFENCED, [], [(1, "a:1")])
    assert list(store.donors()) == [(1, "b:1"), (2, "a:1")]


# Laws

KEYS = st.sampled_from([b"a", b"b", b"c"])
PLACES = st.sampled_from([0, 1])
VERSIONS = st.builds(make_version, st.integers(1, 4), st.integers(1, 2))
VALUES = st.sampled_from([None, b"1", b"2"])


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Equal versions are equal records, as they are in a store whose clocks never stamp twice."""
    version = draw(VERSIONS)
    return Record(version, [None, b"1", b"2"][version[7] % 3], bool(version[15] % 2))


Held: TypeAlias = dict[tuple[int, bytes], Record]
ITEMS = st.lists(st.tuples(PLACES, KEYS, records()), max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("write"), PLACES, KEYS, VERSIONS, VALUES, st.none() | records(), st.booleans()),
    st.tuples(st.just("merge"), ITEMS),
    st.tuples(st.just("drop"), st.lists(st.tuples(PLACES, KEYS, VERSIONS), max_size=4)),
)


def oracle_merge(held: Held, items: list[tuple[int, bytes, Record]]) -> None:
    for place, key, record in items:
        held[place, key] = max(held.get((place, key), record), record, key=lambda any_: any_.version)


def oracle_write(
    held: Held, place: int, key: bytes, version: Version, value: bytes | None, seen: Record | None, sure: bool
) -> WriteOutcome:
    if seen is not None:
        oracle_merge(held, [(place, key, seen)])
    now = held.get((place, key))
    match now:
        case None if not sure:
            return Unsure()
        case Record(version=same) if same == version:
            return Written(now.replaced)
        case None | Record(value=None) if value is None:
            return Absent()
        case Record(version=other) if other > version:
            return Newer(other)
    found = now is not None and now.live
    held[place, key] = Record(version, value, found)
    return Written(found)


def recount(held: Held, place: int) -> Stats:
    digest = 0
    mine = {key: record for (at, key), record in held.items() if at == place}
    for key, record in mine.items():
        digest ^= xxhash.xxh3_64_intdigest(key + record.version)
    return Stats(sum(record.live for record in mine.values()), len(mine), digest)


def on_a_store(test: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    async def main(path: Path) -> None:
        with closing(open_store(path)) as store:
            await test(store)
            before = [store.stats(place) for place in (0, 1)]
        with closing(open_store(path)) as store:
            assert [store.stats(place) for place in (0, 1)] == before

    with tempfile.TemporaryDirectory() as path:
        asyncio.run(main(Path(path)))


def contents(store: Store) -> Held:
    return {(place, key): decode_record(encoded) for place in (0, 1) for key, encoded in store.scan(place, None, 10**6)}


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, max_size=15), together=st.booleans())
def test_store_agrees_with_a_dictionary_and_a_recount(steps: list[tuple[Any, ...]], together: bool) -> None:
    """`together`: the jobs share transactions, so that each must see what the ones before it wrote."""

    async def test(store: Store) -> None:
        held: Held = {}
        queued = []
        for name, *arguments in steps:
            expected: WriteOutcome | None = None
            match name:
                case "write":
                    expected = oracle_write(held, *arguments)
                case "merge":
                    oracle_merge(held, *arguments)
                case "drop":
                    for place, key, version in arguments[0]:
                        if (place, key) in held and held[place, key].version == version:
                            del held[place, key]
            queued.append((getattr(store, name)(UNFENCED, *arguments), expected))
            if not together:
                await queued[-1][0]
        for result, expected in queued:
            assert await result == expected
        assert contents(store) == held
        assert [store.stats(place) for place in (0, 1)] == [recount(held, place) for place in (0, 1)]

    on_a_store(test)


@settings(max_examples=15, deadline=None)
@given(first=ITEMS, second=ITEMS)
def test_store_merge_is_idempotent_and_commutative(
    first: list[tuple[int, bytes, Record]], second: list[tuple[int, bytes, Record]]
) -> None:
    results: list[tuple[Held, Stats, Stats]] = []
    for order in ([first, second], [second, first], [first, second, first, second], [first + second]):

        async def test(store: Store, order: list[list[tuple[int, bytes, Record]]] = order) -> None:
            for items in order:
                await store.merge(UNFENCED, items)
            results.append((contents(store), store.stats(0), store.stats(1)))

        on_a_store(test)
    assert all(result == results[0] for result in results)
