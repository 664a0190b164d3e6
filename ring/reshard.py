"""What a newer view moves: the partitions whose owners change, from whom to whom.

Owns the comparison of two rings. Moving the records, and knowing when that is done, is up to the node.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ring.placement import Shard
from ring.ring import Ring
from ring.sets import first_in, partitions_in


class Move(NamedTuple):
    """One partition that changes hands.

    `sources` are all its earlier owners, including those that remain; `targets` are the owners it gains, none if it
    only loses some.
    """

    partition: int
    sources: Shard
    targets: Shard


def regions(old: Ring, new: Ring) -> dict[tuple[Shard, Shard], int]:
    """Sets of partitions, by their owners before and after: there are few such pairs, but many partitions."""
    found: dict[tuple[Shard, Shard], int] = {}
    for source, held in zip(old.shards, old.bits, strict=True):
        left = held
        while left:
            target = new.table[first_in(left)]
            found[source, new.shards[target]] = left & new.bits[target]
            left &= ~new.bits[target]
    return found


def moves(old: Ring, new: Ring) -> Iterator[Move]:
    """The moves of all partitions whose set of owners differs, by partition. The way back is `moves(new, old)`."""
    moving = (
        Move(partition, before, tuple(owner for owner in after if owner not in before))
        for (before, after), partitions in regions(old, new).items()
        if set(before) != set(after)
        for partition in partitions_in(partitions)
    )
    return iter(sorted(moving))
