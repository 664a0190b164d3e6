"""A walk through partition after partition gives every record once, and lines that any reader of JSON can take."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.operations import partition_order
from node.operations.key_order import Part
from node.operations.partition_order import Place, first_end, lines_of, place_of, walk
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of
from tests.node.fakes.shelves import Shelves

KEYS = [b"k%d" % number for number in range(40)]
PREFIXES = st.sampled_from([b"", b"k", b"k1", b"k39", b"x"])


def part(shelves: Shelves, partitions: list[int], prefix: bytes, after: bytes, bytes_max: int) -> Part:
    *turns, last = walk(shelves, partitions, prefix, after, bytes_max)
    assert last is not None and not any(turns)
    return last


@given(st.sets(st.sampled_from(KEYS)), PREFIXES, st.integers(0, 60))
def test_walk_in_parts_gives_each_record_of_partitions_once(held: set[bytes], prefix: bytes, bytes_max: int) -> None:
    shelves = Shelves(dict.fromkeys(held, b"r" * 9), partition_of)
    left, after, found = sorted({partition_of(key) for key in KEYS[5:]}), b"", list[bytes]()
    while True:
        told = part(shelves, left, prefix, after, bytes_max)
        found += [key for key, _ in told.records]
        if told.end is None:
            break
        assert told.records and told.records[-1][0] == told.end
        after, left = told.end, [number for number in left if number >= partition_of(told.end)]
    others = {key for key in KEYS[:5] if partition_of(key) not in map(partition_of, KEYS[5:])}
    assert found == sorted((key for key in held - others if key.startswith(prefix)), key=place_of)


def test_walk_lets_others_have_a_turn_after_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_order, "SCAN_BYTES", 60)
    monkeypatch.setattr(partition_order, "LOOK_BYTES", 20)
    large = Shelves({key: b"r" * 18 for key in KEYS[10:]}, lambda _: 7)
    *turns, told = walk(large, [7], b"", b"", 100_000)
    assert told is not None and len(told.records) == 30 and large.reads == 16, "two at once, and then none"
    assert len(turns) == 15, "each time that two were read"
    *turns, told = walk(large, [1, 2, 3, 4, 5, 6], b"", b"", 100_000)
    assert told == Part([], None) and len(turns) == 2, "six looks at nothing"
    assert part(large, [7], b"", b"", 100).end == KEYS[15]


def test_place_is_first_of_the_partition_and_then_of_the_key() -> None:
    assert place_of(b"k1") == Place(partition_of(b"k1"), b"k1")
    by_place = sorted(KEYS, key=place_of)
    assert [partition_of(key) for key in by_place] == sorted(map(partition_of, KEYS)) and by_place != sorted(KEYS)
    assert first_end([None, by_place[3], by_place[2]]) == by_place[2] and first_end([None]) is None


def record(value: bytes | None, expires_ms: int | None = None, context: bytes = b"") -> bytes:
    return Record(make_version(3, 9), value, False, context, expires_ms).encode()


def test_lines_are_of_what_has_a_value_at_that_time() -> None:
    records = [
        (b"one", record(b"1.50")),
        (b"deleted", record(None)),
        (b"expired", record(b"2", 5000)),
        (b"expires", record(b"3", 5001)),
        (b"far", record(b"4", 1_700_000_000_250, b"context")),
    ]
    assert lines_of(records, 5000) == (
        b'{"key":"one","value":1.50}\n'
        b'{"key":"expires","value":3,"expires":5.001}\n'
        b'{"key":"far","value":4,"expires":1700000000.250}\n'
    )


@pytest.mark.parametrize("key", ["\n", '"', "\\", "\x00", "𝄞", "a b", "\u2028"])
@pytest.mark.parametrize("value", [b'{\n  "a" : [1,\r\n\t2]\r}', b'"\\n"', '"\u2028"'.encode()])
def test_line_is_one_whatever_stands_in_key_and_value(key: str, value: bytes) -> None:
    lines = lines_of([(key.encode(), record(value))], 0)
    assert lines.count(b"\n") == 1 and lines.endswith(b"\n") and b"\r" not in lines
    assert json.loads(lines) == {"key": key, "value": json.loads(value)}
