"""A walk through the keys of many partitions gives them in one order, whatever the range, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.net.messages import Range
from node.operations import key_order
from node.operations.key_order import RUN_BYTES, Part, bounds_of, walk
from ring.hashing import partition_of
from tests.node.fakes.shelves import Shelves

PARTITIONS = 7
EVERYTHING = Range(b"", b"", 10**6, 10**9)


def shelves_of(records: dict[bytes, bytes]) -> Shelves:
    return Shelves(records, lambda key: partition_of(key) % PARTITIONS)


def part(shelves: Shelves, range_: Range) -> Part:
    """And nothing before it but None."""
    *steps, last = walk(shelves, range(PARTITIONS), range_, bytes)
    assert last is not None and not any(steps)
    return last


def pages(shelves: Shelves, range_: Range) -> Iterator[Part]:
    while True:
        found = part(shelves, range_)
        yield found
        if found.end is None:
            return
        range_ = range_._replace(after=found.end)


KEYS = st.binary(min_size=1, max_size=3) | st.sampled_from([b"a", b"a\0", b"a\xff", b"\xff", b"\xff\xff", b"b", b"\0"])


@given(st.lists(KEYS, unique=True, max_size=60), KEYS | st.just(b""), KEYS | st.just(b""), st.integers(1, 20))
def test_walk_gives_the_keys_of_a_range_in_order(keys: list[bytes], prefix: bytes, after: bytes, limit: int) -> None:
    shelves = shelves_of({key: key * 20 for key in keys})
    expected = sorted(key for key in keys if key.startswith(prefix) and key > after)
    got = list(pages(shelves, Range(prefix, after, limit, 10**9)))
    assert [record for page in got for record in page.records] == [(key, key * 20) for key in expected]
    assert all(len(page.records) == limit for page in got[:-1])


def test_walk_ends_after_the_last_key_that_it_gives_or_not_at_all() -> None:
    shelves = shelves_of({b"%d" % number: b"" for number in range(5)})
    assert part(shelves, EVERYTHING._replace(limit=4)).end == b"3"
    assert part(shelves, EVERYTHING._replace(limit=5)).end is None
    assert part(shelves, EVERYTHING._replace(prefix=b"x")) == Part([], None)


def test_walk_gives_one_record_however_large_and_no_more_than_fit() -> None:
    shelves = shelves_of({b"%d" % number: b"x" * 100 for number in range(5)})
    assert [key for key, _ in part(shelves, EVERYTHING._replace(bytes_max=1)).records] == [b"0"]
    assert [key for key, _ in part(shelves, EVERYTHING._replace(bytes_max=202)).records] == [b"0", b"1"]


def test_walk_counts_what_is_taken_of_a_record() -> None:
    shelves = shelves_of({b"%d" % number: b"x" * 100 for number in range(5)})
    *_, found = walk(shelves, range(PARTITIONS), EVERYTHING._replace(bytes_max=2 * 2), lambda record: record[:1])
    assert found == Part([(b"0", b"x"), (b"1", b"x")], b"1")


def test_walk_passes_over_what_is_not_taken_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    shelves = shelves_of({b"%d" % number: b"x" if number % 2 else b"" for number in range(10)})
    *_, found = walk(shelves, range(PARTITIONS), EVERYTHING._replace(limit=3), lambda record: record or None)
    assert found == Part([(b"1", b"x"), (b"3", b"x"), (b"5", b"x")], b"5")
    monkeypatch.setattr(key_order, "LOOKS_MAX", 4)
    *_, found = walk(shelves, range(PARTITIONS), EVERYTHING, lambda record: None)
    assert found == Part([], b"3")


def test_walk_lets_others_have_a_turn_after_each_look_into_the_store() -> None:
    shelves = shelves_of({b"%d" % number: b"x" * RUN_BYTES for number in range(50)})
    looks = 0
    for _ in walk(shelves, range(PARTITIONS), EVERYTHING, bytes):
        assert shelves.scans <= looks + 1
        looks = shelves.scans
    assert looks > 50


@pytest.mark.parametrize(
    ("prefix", "after", "bounds"),
    [
        (b"", b"", (b"\0", b"")),
        (b"a", b"", (b"a", b"b")),
        (b"a", b"aa", (b"aa\0", b"b")),
        (b"a", b"A", (b"a", b"b")),
        (b"a\xff", b"", (b"a\xff", b"b")),
        (b"\xff", b"", (b"\xff", b"")),
        (b"a", b"c", (b"c\0", b"b")),
    ],
)
def test_bounds_of_a_range(prefix: bytes, after: bytes, bounds: tuple[bytes, bytes]) -> None:
    assert bounds_of(Range(prefix, after, 1, 1)) == bounds
