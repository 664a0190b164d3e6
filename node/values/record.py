"""What is kept of a key, and its form on disk and in a transfer.

A record is version (16 bytes), flags (1), value; between flags and value, if a flag says so, the causal context that it
was written with, after its length (2). It does not name its key: the place where it is kept does. Versions are compared
as bytes, so records that arrive are compared with those that are held without decoding either.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from gossip.view import Address
from node.values.version import Version, clock_of
from ring.hashing import partition_of
from ring.ring import Ring

KEY_BYTES_MAX = 200
"""50 characters of at most 4 bytes each."""

_LENGTH = struct.Struct(">H")
_TOMBSTONE, _REPLACED, _CONTEXT = 1, 2, 4


class Record(NamedTuple):
    """One version of one key. A deleted key has a record too, its tombstone, so that no older version revives it."""

    version: Version
    value: bytes | None
    """JSON text; None in a tombstone."""
    replaced: bool
    """Whether the write found a live value. Kept so that a repetition of the write gets the same answer."""
    context: bytes = b""
    """What a reader of this depends on, as `values.context` encodes it; empty if on nothing."""

    @property
    def live(self) -> bool:
        return self.value is not None

    def encode(self) -> bytes:
        return encode_record(self.version, self.value, self.replaced, self.context)


def checked(encoded: bytes) -> bytes:
    """`encoded` itself. Raises ValueError if it is no record."""
    if len(encoded) < 17 or encoded[16] > _TOMBSTONE | _REPLACED | _CONTEXT:
        raise ValueError("not a record")
    if encoded[16] & _CONTEXT and not 19 < _value_start(encoded) <= len(encoded):
        raise ValueError("not a record: its context is cut off")
    return encoded


def received(records: Iterable[tuple[bytes, bytes]], ring: Ring, me: Address) -> list[tuple[int, bytes, bytes]]:
    """What another node has sent to the owner `me`, (key, encoded record) each, with the partition before the key.
    Raises ValueError if one of them is no record, or does not belong to `me`: then none of them is to be taken."""
    checked_records = [(partition_of(key), key, checked(record)) for key, record in records]
    if not all(ring.owns(me, partition) for partition, *_ in checked_records):
        raise ValueError("a record that does not belong here")
    return checked_records


def encode_record(version: Version, value: bytes | None, replaced: bool, context: bytes = b"") -> bytes:
    """What `Record.encode` gives, for each write."""
    flags = _REPLACED * replaced + _TOMBSTONE * (value is None)
    if not context:
        return b"%b%c%b" % (version, flags, value or b"")
    return b"%b%c%b%b%b" % (version, flags + _CONTEXT, _LENGTH.pack(len(context)), context, value or b"")


def decode_record(encoded: bytes) -> Record:
    """Raises ValueError if `encoded` is no record; what this node's store gives always is one."""
    flags, context, start = checked(encoded)[16], b"", 17
    if flags & _CONTEXT:
        start = _value_start(encoded)
        context = encoded[19:start]
    return Record(encoded[:16], None if flags & _TOMBSTONE else encoded[start:], bool(flags & _REPLACED), context)


def value_of(encoded: bytes) -> bytes | None:
    """The value of an encoded record of this node's store; None if it is a deletion. The hot path."""
    if encoded[16] & (_TOMBSTONE | _CONTEXT):
        return decode_record(encoded).value
    return encoded[17:]


def is_live(encoded: bytes) -> bool:
    """Whether an encoded record is that of a value, not of a deletion."""
    return not encoded[16] & _TOMBSTONE


def is_forgotten(encoded: bytes, purge_watermark: int) -> bool:
    """Whether an encoded record is a tombstone that is not to be kept where the purge watermark is this; see
    `retention.tombstones`."""
    return bool(encoded[16] & _TOMBSTONE) and clock_of(encoded) <= purge_watermark


def version_of(encoded: bytes) -> Version:
    return encoded[:16]


def head_of(encoded: bytes) -> bytes:
    """What tells its version, and whether it is live."""
    return encoded[:17]


def has_replaced(encoded: bytes) -> bool:
    """See `Record.replaced`."""
    return bool(encoded[16] & _REPLACED)


def _value_start(encoded: bytes) -> int:
    """Where the value begins, if there is a context before it."""
    return 19 + int.from_bytes(encoded[17:19])
