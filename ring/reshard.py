"""What a newer view moves: the partitions whose owners change, from whom to whom.

Owns the comparison of two rings; what is done about it, and when it is over, is the node's business. Imports
nothing of ours but `placement`, `ring` and `sets`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ring.placement import Shard
from ring.ring import Ring
from ring.sets import first_in, partitions_in


class Move(NamedTuple):
    """One partition that changes hands.

    `sources` are all its earlier owners, also those that remain; `targets` the owners it gains, none if it
    only loses some.
    """

    partition: int
    sources: Shard
    targets: Shard


def regions(old: Ring, new: Ring) -> dict[tuple[Shard, Shard], int]:
    """The sets of partitions, by their owners before and after: few pairs, where there are many partitions."""
    found: dict[tuple[Shard, Shard], int] = {}
    for source, held in zip(old.shards, old.bits, strict=True):
        left = held
        while left:
            target = new.table[first_in(left)]
            found[source, new.shards[target]] = left & new.bits[target]
            left &= ~new.bits[target]
    return found


def moves(old: Ring, new: Ring) -> Iterator[Move]:
    """The partitions, ascending, whose set of owners differs. Moving back is `moves(new, old)`."""
    moving = (
        Move(partition, before, tuple(owner for owner in after if owner not in before))
        for (before, after), partitions in regions(old, new).items()
        if set(before) != set(after)
        for partition in partitions_in(partitions)
    )
    return iter(sorted(moving))
