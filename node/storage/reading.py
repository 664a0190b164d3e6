"""What the engine reads of many keys at once, in one transaction of LMDB."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice

import lmdb

from node.errors import StorageFault


def scan(reader: lmdb.Transaction[bytes], start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
    """See `Engine.scan`."""
    items: list[tuple[bytes, bytes]] = []
    room = bytes_max
    try:
        with reader.cursor() as cursor:
            if not cursor.set_range(start):
                return items
            for key, value in cursor:
                room -= len(key) + len(value)
                if key >= stop or (room < 0 and items):
                    break
                items.append((key, value))
    except lmdb.Error as error:
        raise StorageFault(str(error)) from error
    return items


def first_keys(reader: lmdb.Transaction[bytes], ranges: Sequence[tuple[bytes, bytes]], count: int) -> list[list[bytes]]:
    """See `Engine.first_keys`."""
    found: list[list[bytes]] = []
    try:
        with reader.cursor() as cursor:
            for start, stop in ranges:
                keys = list(islice(cursor.iternext(values=False), count)) if cursor.set_range(start) else []
                if keys and keys[-1] >= stop:
                    del keys[bisect_left(keys, stop) :]
                found.append(keys)
    except lmdb.Error as error:
        raise StorageFault(str(error)) from error
    return found
