"""Records, as they stand on disk and travel."""

from __future__ import annotations

import pytest

from node.values.record import Record, checked, decode_record, has_replaced, is_live, version_of
from node.values.version import clock_of, make_version

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
    assert (version_of(encoded), clock_of(encoded)) == (V, 3)
    assert checked(encoded) is encoded


@pytest.mark.parametrize("encoded", [b"", bytes(16), bytes(16) + b"\x08", bytes(16) + b"\xff1"])
def test_record_decode_rejects_what_is_none(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        decode_record(encoded)


@pytest.mark.parametrize("length", [b"", b"\0", b"\0\0", b"\0\2c"])
def test_record_whose_context_is_cut_off_is_rejected(length: bytes) -> None:
    with pytest.raises(ValueError, match="not a record: its context is cut off"):
        checked(V + b"\x04" + length)
