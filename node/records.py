"""What is kept of a key: its versions, and how a record of one stands on disk and in a transfer.

A record is version (16 bytes), flags (1), value. It never says which key it is of: that is the place where it is kept.
Versions are compared as bytes, so a batch can be compared with what is held without taking it apart.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

Version: TypeAlias = bytes
"""16 bytes: a hybrid clock reading (8), then the id of the store that stamped it (8), big-endian; compares as versions
do."""

KEY_BYTES_MAX = 200
"""50 characters of at most 4 bytes each."""

_VERSION = struct.Struct(">QQ")
_TOMBSTONE, _REPLACED = 1, 2


def make_version(clock: int, store_id: int) -> Version:
    return _VERSION.pack(clock, store_id)


def clock_of(version: Version) -> int:
    return int.from_bytes(version[:8])


class Record(NamedTuple):
    """One version of one key. A deleted key has a record too, its tombstone, so that no older version can bring it
    back."""

    version: Version
    value: bytes | None
    """JSON text; None in a tombstone."""
    replaced: bool
    """Whether the write found a live value: what a repetition of the same write must be answered with."""

    @property
    def live(self) -> bool:
        return self.value is not None

    def encode(self) -> bytes:
        flags = _REPLACED * self.replaced + _TOMBSTONE * (self.value is None)
        return b"%b%c%b" % (self.version, flags, self.value or b"")


def decode_record(encoded: bytes) -> Record:
    """Raises ValueError if `encoded` is no record; from our own disk that cannot be."""
    if len(encoded) < 17 or encoded[16] > _TOMBSTONE | _REPLACED:
        raise ValueError("not a record")
    flags = encoded[16]
    return Record(encoded[:16], None if flags & _TOMBSTONE else encoded[17:], bool(flags & _REPLACED))


def is_live(encoded: bytes) -> bool:
    """Whether an encoded record is that of a value, not of a deletion."""
    return not encoded[16] & _TOMBSTONE


def version_of(encoded: bytes) -> Version:
    return encoded[:16]
