"""The manifest: what it tells of an export, and each way in which an export may not be what it tells of."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from kvs.manifest import Manifest, Sum, manifest_in

LINES = b'{"key":"a","value":1}\n{"key":"b","value":2,"expires":3.000}\n'


def summed() -> Sum:
    told = Sum()
    told.add(LINES[:22], 1, 0)
    told.add(LINES[22:], 1, 1)
    return told


def test_manifest_is_one_line_of_counts_and_checksum() -> None:
    line = summed().line("2026-11-30T02:00:00+00:00")
    assert json.loads(line) == {
        "manifest": {
            "entries": 2,
            "expiring": 1,
            "sha256": hashlib.sha256(LINES).hexdigest(),
            "exported": "2026-11-30T02:00:00+00:00",
            "format": 1,
        }
    }
    assert line.endswith(b"}\n")
    manifest = manifest_in(line)
    assert manifest is not None and summed().fault(manifest) is None


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"entries": 3000}, "tells of 3,000 entries, and it has 2"),
        ({"expiring": 0}, "0 entries that expire, and it has 1"),
        ({"sha256": "00"}, "was changed since"),
        ({"format": 2}, "format 2, and this kvs knows 1"),
    ],
)
def test_manifest_of_something_else_is_a_fault(changed: dict[str, object], fault: str) -> None:
    manifest = manifest_in(summed().line("now"))
    assert manifest is not None
    told = summed().fault(msgspec.structs.replace(manifest, **changed))
    assert told is not None and fault in told


@pytest.mark.parametrize("line", [b"", b"{}", b'{"manifest":1}', b'{"key":"a","value":1}', b"\xff", b"[" * 10_000])
def test_manifest_is_told_from_all_else(line: bytes) -> None:
    assert manifest_in(line) is None
    assert Manifest(1, 0, "", "").format == 1
