"""From a key to its partition, and the wire form of lists of partitions.

Owns the one function that every node, release and disk must agree on for ever: were `partition_of` or `PARTITIONS` to
change, every stored key would be where nobody looks for it.
"""

import struct
from collections.abc import Iterable

from xxhash import xxh3_64_intdigest

_BITS = 12
_SHIFT = 64 - _BITS
PARTITIONS = 1 << _BITS
"""The 64-bit hash ring is cut into this many equal partitions (Dynamo's third strategy): enough for nearly even
shares at 200 shards, few enough for a whole table to take 8 KiB."""


HASH = "xxh3_64"
"""By this name, clients that route by themselves are told how: a key's partition is the leading bits of this hash of
its UTF-8 bytes, as many as it takes to tell all partitions apart."""


def partition_of(key: bytes) -> int:
    """The partition, 0 to PARTITIONS - 1, of a key in UTF-8: the leading bits of its xxh3_64."""
    return xxh3_64_intdigest(key) >> _SHIFT


def hash_of(key: bytes) -> int:
    """The place of a key on the hash ring: its xxh3_64."""
    return xxh3_64_intdigest(key)


def partition_at(key_hash: int) -> int:
    """The partition of the key with this hash."""
    return key_hash >> _SHIFT


def pack(numbers: Iterable[int]) -> bytes:
    """Partitions, or shard indexes, as big-endian 16-bit numbers. Raises ValueError for a number that does not fit."""
    numbers = tuple(numbers)
    try:
        return struct.pack(f">{len(numbers)}H", *numbers)
    except struct.error as error:
        raise ValueError(f"not a list of 16-bit numbers: {error}") from None


def unpack(packed: bytes) -> tuple[int, ...]:
    """The reverse of `pack`. Raises ValueError for an odd number of bytes."""
    if len(packed) % 2:
        raise ValueError(f"a list of 16-bit numbers cannot have {len(packed)} bytes")
    return struct.unpack(f">{len(packed) // 2}H", packed)
