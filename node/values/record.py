"""What is kept of a key, and its form on disk and in a transfer.

A record is version (16 bytes), flags (1), value; between flags and value stand, each if a flag says so, the time of
expiry (6), and the causal context that it was written with, after its length (2). It does not name its key: the place
where it is kept does. Versions are compared as bytes, so records that arrive are compared with those that are held
without decoding either.

From its time of expiry on, a record is a deletion of its own version, on every copy and without a write: whoever looks
at it says what time it is. Whether it may be *forgotten* must not depend on who looks, and when. So that is told by
version, expiry and purge watermark alone, and a value that has become a tombstone keeps its expiry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from gossip.view import Address
from node.values.version import Version, clock_of, reading_at
from ring.hashing import partition_of
from ring.ring import Ring

KEY_BYTES_MAX = 200
"""50 characters of at most 4 bytes each."""
EXPIRY_BYTES = 6
"""Milliseconds since 1970 take so many for ten thousand years."""

_LENGTH = struct.Struct(">H")
_TOMBSTONE, _REPLACED, _CONTEXT, _EXPIRES = 1, 2, 4, 8
_AFTER_EXPIRY = 17 + EXPIRY_BYTES
_FLAGS = tuple(bytes([flags]) for flags in range(2 * _EXPIRES))


class Record(NamedTuple):
    """One version of one key. A deleted key has a record too, its tombstone, so that no older version revives it."""

    version: Version
    value: bytes | None
    """JSON text; None in a tombstone."""
    replaced: bool
    """Whether the write found a live value. Kept so that a repetition of the write gets the same answer."""
    context: bytes = b""
    """What a reader of this depends on, as `values.context` encodes it; empty if on nothing."""
    expires_ms: int | None = None
    """From when on this is a deletion, in milliseconds since 1970; None: it stays what it is."""

    @property
    def has_value(self) -> bool:
        """Whether this is not a tombstone, be it expired or not."""
        return self.value is not None

    def is_live(self, now_ms: int) -> bool:
        return self.value is not None and (self.expires_ms is None or now_ms < self.expires_ms)

    def left_ms(self, now_ms: int) -> int | None:
        """How long it stays live; None: for ever."""
        return None if self.expires_ms is None else self.expires_ms - now_ms

    def encode(self) -> bytes:
        return encode_record(self.version, self.value, self.replaced, self.context, self.expires_ms)


def checked(encoded: bytes) -> bytes:
    """`encoded` itself. Raises ValueError if it is no record."""
    checked_head(encoded)
    if encoded[16] & _CONTEXT and not _context_at(encoded) + 3 <= _value_start(encoded) <= len(encoded):
        raise ValueError("not a record: its context or its expiry is cut off")
    return encoded


def checked_head(encoded: bytes) -> bytes:
    """`encoded` itself, of which no more is wanted than its `head_of`. Raises ValueError if it has none."""
    if len(encoded) < 17 or encoded[16] > _TOMBSTONE | _REPLACED | _CONTEXT | _EXPIRES:
        raise ValueError("not a record")
    if encoded[16] & _EXPIRES and len(encoded) < _AFTER_EXPIRY:
        raise ValueError("not a record: its context or its expiry is cut off")
    return encoded


def received(records: Iterable[tuple[bytes, bytes]], ring: Ring, me: Address) -> list[tuple[int, bytes, bytes]]:
    """What another node has sent to the owner `me`, (key, encoded record) each, with the partition before the key.
    Raises ValueError if one of them is no record, or does not belong to `me`: then none of them is to be taken."""
    checked_records = [(partition_of(key), key, checked(record)) for key, record in records]
    if not all(ring.owns(me, partition) for partition, *_ in checked_records):
        raise ValueError("a record that does not belong here")
    return checked_records


def encode_record(
    version: Version, value: bytes | None, replaced: bool, context: bytes = b"", expires_ms: int | None = None
) -> bytes:
    """What `Record.encode` gives. The hot path."""
    flags, between = (_REPLACED if replaced else 0) + (_TOMBSTONE if value is None else 0), b""
    if expires_ms is None and not context:
        return version + _FLAGS[flags] + (value or b"")
    if expires_ms is not None:
        flags, between = flags + _EXPIRES, expires_ms.to_bytes(EXPIRY_BYTES)
    if context:
        flags, between = flags + _CONTEXT, between + _LENGTH.pack(len(context)) + context
    return version + _FLAGS[flags] + between + (value or b"")


def decode_record(encoded: bytes) -> Record:
    """Raises ValueError if `encoded` is no record; what this node's store gives always is one."""
    flags, context, start = checked(encoded)[16], b"", _value_start(encoded)
    if flags & _CONTEXT:
        context = encoded[_context_at(encoded) + 2 : start]
    value = None if flags & _TOMBSTONE else encoded[start:]
    return Record(encoded[:16], value, bool(flags & _REPLACED), context, expiry_of(encoded))


def value_of(encoded: bytes) -> bytes | None:
    """The value of an encoded record of this node's store, expired or not; None if it is a tombstone. The hot path."""
    if encoded[16] & (_TOMBSTONE | _CONTEXT | _EXPIRES):
        return decode_record(encoded).value
    return encoded[17:]


def is_lasting(encoded: bytes) -> bool:
    """Whether an encoded record is a value that does not expire. The hot path."""
    return not encoded[16] & (_TOMBSTONE | _EXPIRES)


def are_lasting(encoded: bytes, other: bytes) -> bool:
    """The same of two. The hot path."""
    return not (encoded[16] | other[16]) & (_TOMBSTONE | _EXPIRES)


def has_value(encoded: bytes) -> bool:
    """Whether an encoded record is not a tombstone, be it expired or not."""
    return not encoded[16] & _TOMBSTONE


def is_live(encoded: bytes, now_ms: int) -> bool:
    """Whether an encoded record is that of a value, not of a deletion."""
    flags = encoded[16]
    return not flags & (_TOMBSTONE | _EXPIRES) or (not flags & _TOMBSTONE and now_ms < _expiry(encoded))


def expires(encoded: bytes) -> bool:
    """Whether an encoded record has a time of expiry."""
    return encoded[16] & _EXPIRES != 0


def due_of(encoded: bytes) -> int | None:
    """When an encoded record is to be turned into a tombstone; None: never, or it is one."""
    return _expiry(encoded) if encoded[16] & (_EXPIRES | _TOMBSTONE) == _EXPIRES else None


def expiry_of(encoded: bytes) -> int | None:
    """See `Record.expires_ms`."""
    return _expiry(encoded) if encoded[16] & _EXPIRES else None


def as_tombstone(encoded: bytes) -> bytes:
    """An encoded record that has expired without its value. All else stays: it is the same version."""
    return b"%b%c%b" % (encoded[:16], encoded[16] | _TOMBSTONE, encoded[17 : _value_start(encoded)])


def is_forgotten(encoded: bytes, purge_watermark: int) -> bool:
    """Whether an encoded record is a deletion that is not to be kept where the purge watermark is this; see
    `retention.tombstones`. That watermark is in the past of every node, so what expires up to it has expired."""
    flags = encoded[16]
    return (
        bool(flags & (_TOMBSTONE | _EXPIRES))
        and clock_of(encoded) <= purge_watermark
        and (not flags & _EXPIRES or reading_at(_expiry(encoded)) <= purge_watermark)
    )


def version_of(encoded: bytes) -> Version:
    return encoded[:16]


def head_of(encoded: bytes) -> bytes:
    """What tells its version, and when it is live."""
    return encoded[: _context_at(encoded)]


def has_replaced(encoded: bytes) -> bool:
    """See `Record.replaced`."""
    return bool(encoded[16] & _REPLACED)


def _expiry(encoded: bytes) -> int:
    """If it has one."""
    return int.from_bytes(encoded[17:_AFTER_EXPIRY])


def _context_at(encoded: bytes) -> int:
    """Where the context begins, with its length, if there is one, else the value."""
    return _AFTER_EXPIRY if encoded[16] & _EXPIRES else 17


def _value_start(encoded: bytes) -> int:
    at = _context_at(encoded)
    return at + 2 + int.from_bytes(encoded[at : at + 2]) if encoded[16] & _CONTEXT else at
