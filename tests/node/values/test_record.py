"""Records, as they stand on disk and travel."""

from __future__ import annotations

import pytest

from node.values.record import (
    Record,
    checked,
    decode_record,
    has_replaced,
    is_forgotten,
    is_live,
    received,
    value_of,
    version_of,
)
from node.values.version import clock_of, make_version
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

V = make_version(3, 1)
RECORDS = [
    Record(V, b"1", False),
    Record(V, b"", True),
    Record(V, None, True),
    Record(V, None, False),
    Record(V, b"1", True, b"context"),
    Record(V, None, True, b"context"),
]


@pytest.mark.parametrize("record", RECORDS)
def test_record_decode_of_encode_is_the_record(record: Record) -> None:
    assert decode_record(record.encode()) == record


@pytest.mark.parametrize("record", RECORDS)
def test_record_encoded_tells_what_the_record_does(record: Record) -> None:
    encoded = record.encode()
    assert (is_live(encoded), has_replaced(encoded)) == (record.live, record.replaced)
    assert value_of(encoded) == record.value
    assert (version_of(encoded), clock_of(encoded)) == (V, 3)
    assert checked(encoded) is encoded


@pytest.mark.parametrize(("purge_watermark", "expected"), [(2, False), (3, True), (4, True)])
def test_record_is_forgotten_if_it_is_a_tombstone_up_to_the_purge_watermark(
    purge_watermark: int, expected: bool
) -> None:
    assert is_forgotten(Record(V, None, True, b"context").encode(), purge_watermark) is expected
    assert not is_forgotten(Record(V, b"1", True, b"context").encode(), purge_watermark)


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
    with pytest.raises(ValueError, match="not a record: its context is cut off"):
        checked(V + b"\x04" + length)
