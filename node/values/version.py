"""The version of a record: when it was written, by the hybrid clock, and by which store.

Versions decide which of two records of a key holds, on every node alike. They are compared as bytes: the higher reading
wins, and of two writes with the same reading the one of the higher store, so that no two writes are ever equal.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TypeAlias

Version: TypeAlias = bytes
"""16 bytes: a hybrid clock reading (8), then the id of the store that stamped it (8), big-endian; compares as versions
do."""

CLOCK_MAX = 1 << 63
"""All clock readings are below this: well below 64 bits, so that whoever hears of one can stamp above it."""

_VERSION = struct.Struct(">QQ")


def make_version(clock: int, store_id: int) -> Version:
    return _VERSION.pack(clock, store_id)


def make_versions(clocks: Iterable[int], store_id: int) -> list[Version]:
    """One of each reading."""
    pack = _VERSION.pack
    return [pack(clock, store_id) for clock in clocks]


def reading_at(ms: int) -> int:
    """The lowest reading of a clock that shows `ms`, in milliseconds since 1970."""
    return ms << 16


def clock_of(version: Version) -> int:
    """The reading in a version, or in an encoded record, which begins with its version."""
    return int.from_bytes(version[:8])
