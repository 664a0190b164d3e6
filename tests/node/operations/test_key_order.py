"""A walk through the keys of many partitions gives them in one order, whatever the range, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.net.messages import Range
from node.operations import key_order
from node.operations.key_order import Merge, Part, bounds_of, walk
from ring.hashing import partition_of
from tests.node.fakes.shelves import Shelves

PARTITIONS = 7
EVERYTHING = Range(b"", b"", 10**6, 10**9)


def shelves_of(records: dict[bytes, bytes]) -> Shelves:
    return Shelves(records, lambda key: partition_of(key) % PARTITIONS)


def part(shelves: Shelves, range_: Range, merge: Merge | None = None) -> Part:
    """And nothing before it but None."""
    *steps, last = walk(shelves, range(PARTITIONS), range_, bytes, merge or Merge())
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
    *_, found = walk(
        shelves, range(PARTITIONS), EVERYTHING._replace(bytes_max=2 * 2), lambda record: record[:1], Merge()
    )
    assert found == Part([(b"0", b"x"), (b"1", b"x")], b"1")


def test_walk_passes_over_what_is_not_taken_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    shelves = shelves_of({b"%d" % number: b"x" if number % 2 else b"" for number in range(10)})
    *_, found = walk(shelves, range(PARTITIONS), EVERYTHING._replace(limit=3), lambda record: record or None, Merge())
    assert found == Part([(b"1", b"x"), (b"3", b"x"), (b"5", b"x")], b"5")
    monkeypatch.setattr(key_order, "LOOKS_A_TURN", 2)
    merge, after, ends = Merge(), b"", list[bytes | None]()
    while ends[-1:] != [None]:
        range_, now = EVERYTHING._replace(after=after), count().__next__
        *_, found = walk(shelves, range(PARTITIONS), range_, lambda record: None, merge, now, 2.0)
        assert found is not None and not found.records
        after = found.end or b""
        ends.append(found.end)
    assert ends == [b"3", b"7", None], "two turns each"
    *_, found = walk(shelves, range(PARTITIONS), EVERYTHING, lambda record: None, Merge(), count().__next__, 0.0)
    assert found == Part([], b"1"), "something is passed in any case"


def test_walk_lets_others_have_a_turn_after_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "READS_A_TURN", 2)
    monkeypatch.setattr(key_order, "LOOKS_A_TURN", 3)
    shelves = shelves_of({b"%d" % number: b"x" for number in range(50)})
    *turns, _ = walk(shelves, range(PARTITIONS), EVERYTHING, bytes, Merge())
    assert len(turns) == 1 + 4 + 16, "what has changed, seven partitions, and fifty records"


def test_walk_reads_no_records_that_it_has_no_room_for() -> None:
    """They may be large."""
    for range_ in (EVERYTHING._replace(bytes_max=204), EVERYTHING._replace(limit=2)):
        shelves = shelves_of({b"%02d" % number: b"x" * 100 for number in range(50)})
        shelves.encoded = Mock(wraps=shelves.encoded)  # type: ignore[method-assign]
        assert len(part(shelves, range_).records) == 2 and shelves.encoded.call_count == 3


# What was read ahead


def test_walk_reads_of_few_partitions_what_the_one_before_has_not_read() -> None:
    shelves = shelves_of({b"%02d" % number: b"x" for number in range(70)})
    merge = Merge()
    first = part(shelves, EVERYTHING._replace(limit=5), merge)
    assert PARTITIONS <= shelves.reads <= PARTITIONS + 2
    before = shelves.reads
    second = part(shelves, EVERYTHING._replace(limit=5, after=b"04"), merge)
    assert shelves.reads <= before + 2
    assert [key for key, _ in first.records + second.records] == [b"%02d" % number for number in range(10)]


def test_walk_gives_the_newest_record_of_a_key_that_was_read_ahead() -> None:
    shelves = shelves_of({b"1": b"old", b"2": b"old"})
    merge = Merge()
    assert part(shelves, EVERYTHING._replace(limit=1), merge).end == b"1"
    shelves.put(b"2", b"new")
    assert part(shelves, EVERYTHING._replace(after=b"1"), merge).records == [(b"2", b"new")]


def test_walk_passes_over_a_key_that_is_dropped_under_its_eyes() -> None:
    shelves = shelves_of({b"1": b"x", b"2": b"x"})
    walking = walk(shelves, range(PARTITIONS), EVERYTHING, bytes, Merge())
    assert next(walking) is None, "all keys are read"
    shelves.drop(b"2")
    assert [found for found in walking if found is not None] == [Part([(b"1", b"x")], None)]


LETTERS = st.binary(min_size=1, max_size=2).map(lambda key: bytes(97 + byte % 4 for byte in key))
CHANGES = st.lists(st.tuples(LETTERS, st.booleans()), max_size=4)
OWNED = st.just(list(range(PARTITIONS))) | st.lists(st.integers(0, PARTITIONS - 1), unique=True).map(sorted)
STEPS = st.lists(st.tuples(CHANGES, OWNED, st.integers(1, 4), st.booleans()), max_size=20)


@given(st.sets(LETTERS), STEPS, st.data())
def test_walk_after_a_change_is_as_if_nothing_had_been_read_ahead(
    held: set[bytes], steps: list[tuple[list[tuple[bytes, bool]], list[int], int, bool]], data: st.DataObject
) -> None:
    """Whatever is put and dropped between two pages and within one, and whichever partitions are its own by then; and a
    page may begin before the last one's end."""
    shelves = shelves_of(dict.fromkeys(held, b"x"))
    merge, after = Merge(), b""
    for changes, owned, limit, within in steps:
        range_ = EVERYTHING._replace(limit=limit, after=after)
        walking = walk(shelves, owned, range_, bytes, merge)
        if within:
            next(walking)
        for key, is_put in changes:
            if is_put:
                shelves.put(key, b"y")
            elif shelves.encoded(partition_of(key) % PARTITIONS, key) is not None:
                shelves.drop(key)
        told = next(found for found in walking if found is not None)
        if not within:
            *_, afresh = walk(shelves, owned, range_, bytes, Merge())
            assert told == afresh
        after = data.draw(st.sampled_from([after, *(key for key, _ in told.records)]))


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
