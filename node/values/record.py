"""What is kept of a key: its versions, and how a record of one stands on disk and in a transfer.

A record is version (16 bytes), flags (1), value; between flags and value, if a flag says so, the causal context that it
was written with, after its length (2). It never says which key it is of: that is the place where it is kept. Versions
are compared as bytes, so a batch can be compared with what is held without taking it apart.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from node.values.version import Version

KEY_BYTES_MAX = 200
"""50 characters of at most 4 bytes each."""

_LENGTH = struct.Struct(">H")
_TOMBSTONE, _REPLACED, _CONTEXT = 1, 2, 4


class Record(NamedTuple):
    """One version of one key. A deleted key has a record too, its tombstone, so that no older version can bring it
    back."""

    version: Version
    value: bytes | None
    """JSON text; None in a tombstone."""
    replaced: bool
    """Whether the write found a live value: what a repetition of the same write must be answered with."""
    context: bytes = b""
    """What whoever reads this depends on, as `values.context` encodes it; empty if it depends on nothing."""

    @property
    def live(self) -> bool:
        return self.value is not None

    def encode(self) -> bytes:
        flags = _REPLACED * self.replaced + _TOMBSTONE * (self.value is None)
        if not self.context:
            return b"%b%c%b" % (self.version, flags, self.value or b"")
        length = _LENGTH.pack(len(self.context))
        return b"%b%c%b%b%b" % (self.version, flags + _CONTEXT, length, self.context, self.value or b"")


def checked(encoded: bytes) -> bytes:
    """`encoded`. Raises ValueError if that is no record."""
    if len(encoded) < 17 or encoded[16] > _TOMBSTONE | _REPLACED | _CONTEXT:
        raise ValueError("not a record")
    if encoded[16] & _CONTEXT and not 19 < _value_start(encoded) <= len(encoded):
        raise ValueError("not a record: its context is cut off")
    return encoded


def decode_record(encoded: bytes) -> Record:
    """Raises ValueError if `encoded` is no record; from our own disk that cannot be."""
    flags, context, start = checked(encoded)[16], b"", 17
    if flags & _CONTEXT:
        start = _value_start(encoded)
        context = encoded[19:start]
    return Record(encoded[:16], None if flags & _TOMBSTONE else encoded[start:], bool(flags & _REPLACED), context)


def is_live(encoded: bytes) -> bool:
    """Whether an encoded record is that of a value, not of a deletion."""
    return not encoded[16] & _TOMBSTONE


def version_of(encoded: bytes) -> Version:
    return encoded[:16]


def has_replaced(encoded: bytes) -> bool:
    """See `Record.replaced`."""
    return bool(encoded[16] & _REPLACED)


def _value_start(encoded: bytes) -> int:
    """Where the value begins, behind a context."""
    return 19 + int.from_bytes(encoded[17:19])
