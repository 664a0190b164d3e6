"""What a newer view moves: the partitions whose owners change, from whom to whom.

Owns the comparison of two rings; what is done about it, and when it is over, is the node's business. Imports
nothing of ours but `placement` and `ring`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ring.placement import Shard
from ring.ring import Ring


class Move(NamedTuple):
    """One partition that changes hands.

    `sources` are all its earlier owners, also those that remain; `targets` the owners it gains, none if it
    only loses some.
    """

    partition: int
    sources: Shard
    targets: Shard


def regions(old: Ring, new: Ring) -> dict[tuple[Shard, Shard], list[int]]:
    """All partitions, ascending, by their owners before and after: few pairs, where there are many partitions."""
    by_shards: dict[tuple[int, int], list[int]] = {}
    for partition, pair in enumerate(zip(old.table, new.table, strict=True)):
        by_shards.setdefault(pair, []).append(partition)
    return {(old.shards[source], new.shards[target]): partitions for (source, target), partitions in by_shards.items()}


def moves(old: Ring, new: Ring) -> Iterator[Move]:
    """The partitions, ascending, whose set of owners differs. Moving back is `moves(new, old)`."""
    moving = (
        Move(partition, before, tuple(owner for owner in after if owner not in before))
        for (before, after), partitions in regions(old, new).items()
        if set(before) != set(after)
        for partition in partitions
    )
    return iter(sorted(moving))
