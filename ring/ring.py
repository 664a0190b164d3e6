"""Who owns a partition: a placement, checked once and laid out for look-ups.

Every replica of a shard owns the shard's partitions: each holds all of their keys. A Ring is immutable: a new view is a
new Ring, so that no request sees half of each. What follows from a table alone is worked out once for all rings with
that table, as proposing, judging and adopting a view each make a Ring of it.
"""

from functools import lru_cache
from typing import NamedTuple

from ring.hashing import PARTITIONS, unpack
from ring.placement import Address, Placement, Shard
from ring.sets import bits_of

TABLES_KEPT = 8
"""Laid-out tables that are remembered: the present one, and those of a change under way."""


class Ring:
    """The look-ups of one view. Raises ValueError for a placement that leaves a partition without an owner, or names a
    node twice.

    `shards` lists the replicas of each shard, `table` the index of each partition's shard, and `bits` the partitions of
    each shard (a set as in `sets`).
    """

    __slots__ = ("_partitions", "_shard_of", "bits", "shards", "table")

    def __init__(self, placement: Placement) -> None:
        self.shards = placement.shards
        self.table, self._partitions, self.bits = _lay_out(placement.table, len(placement.shards))
        if not all(self.shards):
            raise ValueError("a shard has no replicas")
        self._shard_of = {address: shard for shard, nodes in enumerate(self.shards) for address in nodes}
        if len(self._shard_of) != sum(map(len, self.shards)):
            raise ValueError("a node is named twice")

    def owners(self, partition: int) -> Shard:
        """The nodes that hold the partition's keys: at least one."""
        return self.shards[self.table[partition]]

    def owns(self, address: Address, partition: int) -> bool:
        """Whether the node is an owner of the partition; False for a number that is no partition."""
        return 0 <= partition < PARTITIONS and address in self.shards[self.table[partition]]

    def co_owners(self, address: Address) -> Shard:
        """The other nodes of its shard, which own all that it owns; none outside the view."""
        shard = self._shard_of.get(address)
        return () if shard is None else tuple(owner for owner in self.shards[shard] if owner != address)

    def shard_of(self, address: Address) -> int | None:
        """The index of the node's shard; None outside the view."""
        return self._shard_of.get(address)

    def partitions_of(self, address: Address) -> frozenset[int]:
        """The partitions that the node owns; none outside the view."""
        shard = self._shard_of.get(address)
        return frozenset() if shard is None else self._partitions[shard]

    def bits_of(self, address: Address) -> int:
        """The partitions that the node owns, as a set of `sets`; empty outside the view."""
        shard = self._shard_of.get(address)
        return 0 if shard is None else self.bits[shard]


class _Layout(NamedTuple):
    table: tuple[int, ...]
    """For each partition the index of its shard."""
    partitions: tuple[frozenset[int], ...]
    """For each shard its partitions."""
    bits: tuple[int, ...]
    """The same, as sets of `sets`."""


@lru_cache(TABLES_KEPT)
def _lay_out(packed: bytes, shards: int) -> _Layout:
    """Raises ValueError for a table that does not give each partition one of so many shards."""
    table = unpack(packed)
    if len(table) != PARTITIONS:
        raise ValueError(f"the table has {len(table)} partitions instead of {PARTITIONS}")
    if max(table) >= shards:
        raise ValueError(f"the table names shard index {max(table)} of {shards} shards")
    partitions: list[list[int]] = [[] for _ in range(shards)]
    for partition, shard in enumerate(table):
        partitions[shard].append(partition)
    return _Layout(table, tuple(map(frozenset, partitions)), tuple(map(bits_of, partitions)))
