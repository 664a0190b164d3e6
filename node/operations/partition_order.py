"""The records of many partitions, one partition after the other: how an export goes through a store.

Nothing has to be merged, so it costs hardly more than reading. Each place in this order is told by the key that is
there: its partition follows from it. A walk does a bounded part of the work each time it is asked; each part sees the
store as it is then. Pure but for what it reads of the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from node.net.messages import Range
from node.operations.key_order import Part, bounds_of
from node.values.record import expiry_of, is_live, value_of
from ring.hashing import partition_of

SCAN_BYTES = 64 * 1024
"""How much is read at once: some hundred small records, in a fifth of a millisecond."""
LOOK_BYTES = 1024
"""A look into a partition takes as long as reading so much of it."""

_encode = msgspec.json.Encoder().encode


class Records(Protocol):
    """A `Ranges`, as far as it is read here."""

    def records(self, partition: int, first: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]: ...


class Place(NamedTuple):
    """Where a key stands in this order."""

    partition: int
    key: bytes


def place_of(key: bytes) -> Place:
    return Place(partition_of(key), key)


def first_end(ends: Iterable[bytes | None]) -> bytes | None:
    """The key at which the first of several walks ends; None: none of them has left anything."""
    return min((end for end in ends if end is not None), key=place_of, default=None)


def walk(
    records: Records, partitions: Collection[int], prefix: bytes, after: bytes, bytes_max: int
) -> Iterator[Part | None]:
    """The records of `partitions`, ascending, whose keys begin with `prefix`; in the partition of `after`, unless that
    is empty, only what comes after it. In the end as one `Part` of about `bytes_max` bytes; before it comes None, once
    for each bounded part of the work."""
    found: list[tuple[bytes, bytes]] = []
    room, begun, load = bytes_max, partition_of(after) if after else None, 0
    for partition in partitions:
        end = after if partition == begun else b""
        while True:
            run = records.records(partition, *bounds_of(Range(prefix, end, 0, 0)), SCAN_BYTES)
            read = sum(len(key) + len(record) for key, record in run)
            room, load = room - read, load + LOOK_BYTES + read
            found += run
            if room < 0:
                yield Part(found, run[-1][0])
                return
            if load >= SCAN_BYTES:
                load = 0
                yield None
            if not run:
                break
            end = run[-1][0]
    yield Part(found, None)


def lines_of(records: Iterable[tuple[bytes, bytes]], now_ms: int) -> bytes:
    """Those of the records that have a value at this time as JSON, a line each."""
    return b"".join([_line(key, encoded) for key, encoded in records if is_live(encoded, now_ms)])


def _line(key: bytes, encoded: bytes) -> bytes:
    value = value_of(encoded)
    assert value is not None
    if b"\n" in value or b"\r" in value:  # Between tokens: within one, JSON has none.
        value = value.replace(b"\n", b" ").replace(b"\r", b" ")
    name, expires_ms = _encode(key.decode()), expiry_of(encoded)
    if expires_ms is None:
        return b'{"key":%b,"value":%b}\n' % (name, value)
    return b'{"key":%b,"value":%b,"expires":%d.%03d}\n' % (name, value, *divmod(expires_ms, 1000))
