"""What a newer view moves: the partitions whose owners change, from whom to whom.

Owns the comparison of two rings; what is done about it, and when it is over, is the node's business. Imports
nothing of ours but `placement` and `ring`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ring.hashing import PARTITIONS
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


def moves(old: Ring, new: Ring) -> Iterator[Move]:
    """The partitions, ascending, whose set of owners differs. Moving back is `moves(new, old)`."""
    for partition in range(PARTITIONS):
        before, after = old.owners(partition), new.owners(partition)
        if before != after and set(before) != set(after):
            yield Move(partition, before, tuple(owner for owner in after if owner not in before))
