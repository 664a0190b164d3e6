"""A dumb dictionary must agree with the store after any sequence of jobs; and merging is idempotent and commutative."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from node.storage.store import Store
from node.storage.transaction import Stats
from node.storage.writes import Absent, Newer, Unsure, WriteOutcome, Written
from node.values.record import Record, decode_record
from node.values.version import Version, make_version
from tests.node.storage.opening import UNFENCED, open_store

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
ITEMS = st.lists(st.tuples(PLACES, KEYS, records().map(Record.encode)), max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("write"), PLACES, KEYS, VERSIONS, VALUES, st.none() | records(), st.booleans()),
    st.tuples(st.just("merge"), ITEMS),
    st.tuples(st.just("drop"), st.lists(st.tuples(PLACES, KEYS, VERSIONS), max_size=4)),
)


def oracle_merge(held: Held, items: list[tuple[int, bytes, bytes]]) -> list[bytes]:
    taken = []
    for place, key, encoded in items:
        record = decode_record(encoded)
        if (place, key) not in held or held[place, key].version < record.version:
            held[place, key] = record
            taken.append(key)
    return taken


def oracle_write(
    held: Held, place: int, key: bytes, version: Version, value: bytes | None, seen: Record | None, sure: bool
) -> WriteOutcome:
    if seen is not None:
        oracle_merge(held, [(place, key, seen.encode())])
    now = held.get((place, key))
    match now:
        case None if not sure:
            return Unsure()
        case Record(version=same) if same == version:
            return Written(now.replaced, is_repeated=True)
        case Record(version=other) if other > version:
            return Newer(other)
        case None | Record(value=None) if value is None:
            return Absent()
    found = now is not None and now.has_value
    held[place, key] = Record(version, value, found)
    return Written(found)


def recount(held: Held, place: int) -> Stats:
    digest = 0
    mine = {key: record for (at, key), record in held.items() if at == place}
    for key, record in mine.items():
        digest ^= xxhash.xxh3_64_intdigest(key + record.version)
    return Stats(sum(record.has_value for record in mine.values()), len(mine), digest)


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


@settings(max_examples=40)
@given(steps=st.lists(STEPS, max_size=15), together=st.booleans())
def test_store_agrees_with_a_dictionary_and_a_recount(steps: list[tuple[Any, ...]], together: bool) -> None:
    """`together`: the jobs share transactions, so that each must see what the ones before it wrote."""

    async def test(store: Store) -> None:
        held: Held = {}
        queued = []
        for name, *arguments in steps:
            expected: WriteOutcome | list[bytes] | None = None
            match name:
                case "write":
                    expected = oracle_write(held, *arguments)
                case "merge":
                    expected = oracle_merge(held, *arguments)
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


@settings(max_examples=15)
@given(first=ITEMS, second=ITEMS)
def test_store_merge_is_idempotent_and_commutative(
    first: list[tuple[int, bytes, bytes]], second: list[tuple[int, bytes, bytes]]
) -> None:
    results: list[tuple[Held, Stats, Stats]] = []
    for order in ([first, second], [second, first], [first, second, first, second], [first + second]):

        async def test(store: Store, order: list[list[tuple[int, bytes, bytes]]] = order) -> None:
            for items in order:
                await store.merge(UNFENCED, items)
            results.append((contents(store), store.stats(0), store.stats(1)))

        on_a_store(test)
    assert all(result == results[0] for result in results)
