"""Which nodes form a shard, and which shard has a partition: from one table to the next, moving little.

Owns the rules for both, as pure functions of their arguments (the order in which nodes are named does not
count): two nodes that start from the same list must come to the same table without talking, or they would
each look for a key where the other did not put it. Imports nothing of ours but `hashing`.

Nodes are dealt to shards, and partitions to shards, by one method. Every shard's quota is the fair share; the
shares that are rounded up go to those that would else have to give something away. Each shard keeps the head
of what it has, up to its quota, and only what is then left over changes hands. So
- sizes differ by at most one, for partitions as for replicas;
- a partition moves only out of a shard that dissolves, lost all its replicas, or had more than its quota;
- the first replica of a shard stays the first, and the others keep their order, as long as they stay at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeAlias, TypeVar

from ring.hashing import PARTITIONS, pack, unpack

Address: TypeAlias = str
Shard: TypeAlias = tuple[Address, ...]
T = TypeVar("T")


class Placement(NamedTuple):
    """The replicas of each shard, and for each partition the index of its shard (packed, see `hashing`)."""

    shards: tuple[Shard, ...]
    table: bytes


_NOBODY = Placement(shards=((),), table=pack([0] * PARTITIONS))
"""Before the first table: one shard without replicas has everything."""


def shard_count(nodes: int, factor: int | None) -> int:
    """How many shards that many nodes form; with fewer nodes than copies, one shard on all of them."""
    return max(1, nodes // (factor or 1))


def first_placement(nodes: Iterable[Address], factor: int | None) -> Placement:
    """Of a store that has none yet: sorted nodes, `factor` to a shard, and partitions in even ranges."""
    return next_placement(_NOBODY, nodes, factor)


def next_placement(old: Placement, nodes: Iterable[Address], factor: int | None) -> Placement:
    """The placement for `nodes` that is nearest to `old`, which is one that `Ring` accepts.

    Any number of nodes may have come or gone, and the factor changed. Surviving shards keep their order, new
    ones follow. Nodes beyond shards x factor become further copies. Raises ValueError for no nodes at all.
    """
    members = sorted(set(nodes))
    if not members:
        raise ValueError("a store needs at least one node")
    present = frozenset(members)
    staying = [tuple(address for address in shard if address in present) for shard in old.shards]
    homes: list[list[int]] = [[] for _ in old.shards]
    for partition, shard in enumerate(unpack(old.table)):
        homes[shard].append(partition)

    count = shard_count(len(members), factor)
    kept = _most_worth_keeping(old.shards, staying, homes)[:count]
    kept.sort()
    shards = _deal_nodes([staying[shard] for shard in kept], count, members)
    table = _deal_partitions(old.shards, staying, homes, kept, shards)
    return Placement(shards, table)


def _most_worth_keeping(old: Sequence[Shard], staying: Sequence[Shard], homes: Sequence[Sequence[int]]) -> list[int]:
    """The old shards; ahead are those that still have their first replica, then those with the most left."""

    def worth(shard: int) -> tuple[bool, int, int]:
        return staying[shard][:1] == old[shard][:1], len(staying[shard]), len(homes[shard])

    return sorted(range(len(old)), key=worth, reverse=True)


def _deal_nodes(staying: Sequence[Shard], count: int, members: Sequence[Address]) -> tuple[Shard, ...]:
    """Each shard gets its staying replicas, as many as it may have; then the other nodes, in order."""
    hands: list[list[Address]] = [[] for _ in range(count)]
    quotas = _quotas([len(replicas) for replicas in staying], count, len(members))
    for hand, quota, replicas in zip(hands, quotas, staying, strict=False):
        _top_up(hand, quota, iter(replicas))
    seated = frozenset(chain.from_iterable(hands))
    others = (address for address in members if address not in seated)
    for hand, quota in zip(hands, quotas, strict=True):
        _top_up(hand, quota, others)
    return tuple(tuple(hand) for hand in hands)


def _deal_partitions(
    old: Sequence[Shard],
    staying: Sequence[Shard],
    homes: Sequence[Sequence[int]],
    kept: Sequence[int],
    shards: Sequence[Shard],
) -> bytes:
    """Each shard gets what it had; then what its replicas had in their former shard; then whatever is left.

    What a shard without staying replicas had moves in any case, so it gives no claim to a share rounded up.
    """
    hands: list[list[int]] = [[] for _ in shards]
    quotas = _quotas([len(homes[k]) if staying[k] else 0 for k in kept], len(shards), PARTITIONS)
    sources = [iter(partitions) for partitions in homes]
    for hand, quota, shard in zip(hands, quotas, kept, strict=False):
        _top_up(hand, quota, sources[shard])
    former = {address: sources[shard] for shard, replicas in enumerate(old) for address in replicas}
    for hand, quota, replicas in zip(hands, quotas, shards, strict=True):
        for address in replicas:
            _top_up(hand, quota, former.get(address, iter(())))
    left = chain.from_iterable(sources)
    for hand, quota in zip(hands, quotas, strict=True):
        _top_up(hand, quota, left)

    table = [0] * PARTITIONS
    for shard, hand in enumerate(hands):
        for partition in hand:
            table[partition] = shard
    return pack(table)


def _quotas(held: Sequence[int], count: int, total: int) -> list[int]:
    """The fair share of `total` for each of `count` shards, of which the first hold `held` already.

    The shares that must be rounded up go first to those that hold more than the share rounded down: each of
    them keeps one thing more that way, so that no other choice leaves more in its place.
    """
    share, rounded_up = divmod(total, count)
    held = [*held, *[0] * (count - len(held))]
    quotas = [share] * count
    for shard in sorted(range(count), key=lambda shard: held[shard] <= share)[:rounded_up]:
        quotas[shard] += 1
    return quotas


def _top_up(hand: list[T], quota: int, source: Iterator[T]) -> None:
    hand.extend(islice(source, quota - len(hand)))
