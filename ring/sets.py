"""Sets of partitions, as the bits of an int: bit 0 is partition 0.

A view change asks the same question of thousands of partitions at once. An int of 512 bytes answers for all of them in
one step, and is stored as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import compress

from ring.hashing import PARTITIONS

ALL = (1 << PARTITIONS) - 1
BYTES = PARTITIONS // 8
FEW = 64
"""Up to so many bits are set one by one; for more, it is faster to write all binary digits down and convert them."""
_EVERY = range(PARTITIONS)
_TRUTH = bytes.maketrans(b"01", b"\0\1")


def bits_of(partitions: Collection[int]) -> int:
    """The set of these partitions. Raises ValueError for a number that is no partition."""
    if not partitions:
        return 0
    if min(partitions) < 0 or max(partitions) >= PARTITIONS:
        raise ValueError(f"{max(partitions)} is no partition, or {min(partitions)}")
    if len(partitions) <= FEW:
        bits = 0
        for partition in partitions:
            bits |= 1 << partition
        return bits
    digits = bytearray(b"0") * PARTITIONS
    for partition in partitions:
        digits[~partition] = 0x31
    return int(digits, 2)


def first_in(bits: int) -> int:
    """The lowest partition of a set that is not empty."""
    return (bits & -bits).bit_length() - 1


def partitions_in(bits: int) -> tuple[int, ...]:
    """The partitions of a set, ascending: the reverse of `bits_of`."""
    return tuple(compress(_EVERY, f"{bits:b}"[::-1].encode().translate(_TRUTH)))
