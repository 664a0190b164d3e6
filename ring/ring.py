"""Who owns a partition: a placement, checked once and laid out for look-ups.

Owns the rule which replicas of a shard hold its data (`_holders`); whoever decided that for itself would read
from a node that was never written to. Imports nothing of ours but `hashing` and `placement`. Immutable: a new
view is a new Ring, so that no request sees half of each.
"""

from ring.hashing import PARTITIONS, unpack
from ring.placement import Address, Placement, Shard


class Ring:
    """The look-ups of one view. Raises ValueError for a placement that leaves a partition without an owner.

    `shards` lists the replicas of each shard, `table` the index of the shard of each partition.
    """

    __slots__ = ("_owners", "_partitions", "_shard_of", "shards", "table")

    def __init__(self, placement: Placement) -> None:
        self.shards = placement.shards
        self.table = unpack(placement.table)
        if len(self.table) != PARTITIONS:
            raise ValueError(f"the table has {len(self.table)} partitions instead of {PARTITIONS}")
        if max(self.table) >= len(self.shards):
            raise ValueError(f"the table names shard index {max(self.table)} of {len(self.shards)} shards")
        if not all(self.shards):
            raise ValueError("a shard has no replicas")
        self._shard_of = {address: shard for shard, nodes in enumerate(self.shards) for address in nodes}
        if len(self._shard_of) != sum(map(len, self.shards)):
            raise ValueError("a node is named twice")

        self._owners = tuple(_holders(replicas) for replicas in self.shards)
        partitions: list[list[int]] = [[] for _ in self.shards]
        for partition, shard in enumerate(self.table):
            partitions[shard].append(partition)
        self._partitions = tuple(tuple(of_shard) for of_shard in partitions)

    def owners(self, partition: int) -> Shard:
        """The nodes that hold the partition's keys, at least one."""
        return self._owners[self.table[partition]]

    def replicas(self, shard: int) -> Shard:
        """All nodes of the shard with that index, from 0."""
        return self.shards[shard]

    def shard_of(self, address: Address) -> int | None:
        """The index of the node's shard; None outside the view."""
        return self._shard_of.get(address)

    def partitions_of(self, address: Address) -> tuple[int, ...]:
        """The partitions that the node owns, ascending; none outside the view."""
        shard = self._shard_of.get(address)
        return () if shard is None or address not in self._owners[shard] else self._partitions[shard]


def _holders(replicas: Shard) -> Shard:
    """The replicas that hold the shard's data: the first alone, as long as nodes keep no copies in step."""
    return replicas[:1]
