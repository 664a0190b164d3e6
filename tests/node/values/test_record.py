"""Records, as they stand on disk and travel."""

from __future__ import annotations

import pytest

from node.values.record import (
    Record,
    are_lasting,
    as_tombstone,
    checked,
    decode_record,
    due_of,
    expires,
    expiry_of,
    has_replaced,
    has_value,
    head_of,
    is_forgotten,
    is_lasting,
    is_live,
    received,
    value_of,
    version_of,
)
from node.values.version import clock_of, make_version, reading_at
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

V = make_version(3, 1)
LASTING = Record(V, b"1", False).encode()
RECORDS = [
    Record(V, b"1", False),
    Record(V, b"", True),
    Record(V, None, True),
    Record(V, None, False),
    Record(V, b"1", True, b"context"),
    Record(V, None, True, b"context"),
    Record(V, b"1", False, b"", 5),
    Record(V, b"1", True, b"context", 2**48 - 1),
    Record(V, None, True, b"", 5),
    Record(V, None, False, b"context", 5),
]


@pytest.mark.parametrize("record", RECORDS)
def test_record_decode_of_encode_is_the_record(record: Record) -> None:
    assert decode_record(record.encode()) == record


@pytest.mark.parametrize("record", RECORDS)
def test_record_encoded_tells_what_the_record_does(record: Record) -> None:
    encoded = record.encode()
    assert (has_value(encoded), has_replaced(encoded)) == (record.has_value, record.replaced)
    assert value_of(encoded) == record.value
    assert (version_of(encoded), clock_of(encoded)) == (V, 3)
    assert checked(encoded) is encoded


@pytest.mark.parametrize(("purge_watermark", "expected"), [(2, False), (3, True), (4, True)])
def test_record_is_forgotten_if_it_is_a_tombstone_up_to_the_purge_watermark(
    purge_watermark: int, expected: bool
) -> None:
    assert is_forgotten(Record(V, None, True, b"context").encode(), purge_watermark) is expected
    assert not is_forgotten(Record(V, b"1", True, b"context").encode(), purge_watermark)


@pytest.mark.parametrize("record", RECORDS)
def test_record_that_has_expired_is_a_deletion_of_its_own_version_whoever_looks_at_it(record: Record) -> None:
    encoded, stays = record.encode(), record.has_value and record.expires_ms is None
    until_ms = record.expires_ms or 0
    for now_ms, expected in [(until_ms - 1, record.has_value), (until_ms, stays), (2**50, stays)]:
        assert is_live(encoded, now_ms) is record.is_live(now_ms) is expected
        assert is_live(head_of(encoded), now_ms) is expected
    assert (expiry_of(encoded), expires(encoded)) == (record.expires_ms, record.expires_ms is not None)
    assert record.left_ms(until_ms - 1) == (None if record.expires_ms is None else 1)
    assert is_lasting(encoded) is are_lasting(encoded, encoded) is stays
    assert [are_lasting(*pair) for pair in ((encoded, LASTING), (LASTING, encoded))] == [stays, stays]


@pytest.mark.parametrize("record", RECORDS)
def test_record_as_tombstone_is_the_same_without_its_value(record: Record) -> None:
    """Also of the same age: whether it is to be forgotten does not depend on which of the two somebody holds."""
    encoded = record.encode()
    tombstone = as_tombstone(encoded)
    assert decode_record(tombstone) == record._replace(value=None)
    assert due_of(tombstone) is None and due_of(encoded) == (record.expires_ms if record.has_value else None)
    if record.expires_ms is not None:
        for watermark in (2, 3, reading_at(5) - 1, reading_at(5), 2**63):
            assert is_forgotten(tombstone, watermark) is is_forgotten(encoded, watermark)


@pytest.mark.parametrize(
    ("version", "expires_ms", "purge_watermark", "expected"),
    [
        (reading_at(3), 5, reading_at(4), False),
        (reading_at(3), 5, reading_at(5) - 1, False),
        (reading_at(3), 5, reading_at(5), True),
        (reading_at(7), 5, reading_at(5), False),
        (reading_at(7), 5, reading_at(7), True),
    ],
    ids=["not expired", "not quite", "expired", "stamped ahead of its expiry", "of both the later"],
)
def test_record_that_expires_is_forgotten_once_both_version_and_expiry_are(
    version: int, expires_ms: int, purge_watermark: int, expected: bool
) -> None:
    record = Record(make_version(version, 1), b"1", True, b"", expires_ms)
    assert is_forgotten(record.encode(), purge_watermark) is expected


@pytest.mark.parametrize("rest", [b"", b"\0" * 5, b"\0" * 6, b"\0" * 7, b"\0" * 8, b"\0" * 7 + b"\2c"])
def test_record_whose_expiry_or_context_behind_it_is_cut_off_is_rejected(rest: bytes) -> None:
    with pytest.raises(ValueError, match="not a record: its context or its expiry is cut off"):
        checked(V + b"\x0c" + rest)
    if len(rest) < 6:
        with pytest.raises(ValueError, match="not a record: its context or its expiry is cut off"):
            checked(V + b"\x08" + rest)


def test_records_received_are_taken_whole_by_their_owner_or_not_at_all() -> None:
    ring, record = Ring(first_placement(("a:1", "b:1"), 1)), RECORDS[0].encode()
    keys = [b"k%d" % number for number in range(20)]
    mine = [key for key in keys if "a:1" in ring.owners(partition_of(key))]
    assert 0 < len(mine) < len(keys)
    assert received([(key, record) for key in mine], ring, "a:1") == [(partition_of(key), key, record) for key in mine]
    with pytest.raises(ValueError, match="does not belong here"):
        received([(key, record) for key in keys], ring, "a:1")
    with pytest.raises(ValueError, match="not a record"):
        received([(mine[0], record), (mine[1], b"short")], ring, "a:1")


@pytest.mark.parametrize("encoded", [b"", bytes(16), bytes(16) + b"\x08", bytes(16) + b"\xff1"])
def test_record_decode_rejects_what_is_none(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        decode_record(encoded)


@pytest.mark.parametrize("length", [b"", b"\0", b"\0\0", b"\0\2c"])
def test_record_whose_context_is_cut_off_is_rejected(length: bytes) -> None:
    with pytest.raises(ValueError, match="not a record: its context or its expiry is cut off"):
        checked(V + b"\x04" + length)
