"""Which nodes form a shard, and which shard has a partition: from one placement to the next, moving little.

Owns the rules for both, as pure functions of their arguments, in which the order of the nodes does not count: two nodes
that start from the same list must arrive at the same table without talking to each other; otherwise each would look for
a key where the other did not put it.

Nodes are dealt to shards, and partitions to shards, by one method. Every shard's quota is its fair share; where shares
have to be rounded, those rounded up go to the shards that would otherwise have to give something away. Each shard keeps
the first of what it has, up to its quota, and only the rest changes hands. So
- sizes differ by at most one, both in partitions and in replicas;
- a partition moves only out of a shard that dissolves, has lost all its replicas, or had more than its quota;
- the first replica of a shard stays first, and the others keep their order, for as long as they stay at all.

Where the nodes dealt like that are not spread over their zones, as `zones` has it, they are dealt anew, so that they
are: with the same shards, the most replicas that can stay, and nothing else different.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeAlias, TypeVar

from ring.hashing import PARTITIONS, pack, unpack
from ring.zones import Zone, crowded, deal_zones

Address: TypeAlias = str
Shard: TypeAlias = tuple[Address, ...]
T = TypeVar("T")


class Placement(NamedTuple):
    """The replicas of each shard, and for each partition the index of its shard (packed as in `hashing`)."""

    shards: tuple[Shard, ...]
    table: bytes


_NOBODY = Placement(shards=((),), table=pack([0] * PARTITIONS))
"""What precedes the first placement: one shard without replicas has everything."""


def shard_count(nodes: int, factor: int | None) -> int:
    """How many shards so many nodes form; if there are fewer nodes than copies, one shard on all of them."""
    return max(1, nodes // (factor or 1))


def first_placement(
    nodes: Iterable[Address], factor: int | None, zones: Mapping[Address, Zone] | None = None
) -> Placement:
    """The placement of a new store: the sorted nodes, `factor` to a shard, and partitions in even ranges. `zones`: as
    for `next_placement`."""
    return next_placement(_NOBODY, nodes, factor, zones)


def next_placement(
    old: Placement, nodes: Iterable[Address], factor: int | None, zones: Mapping[Address, Zone] | None = None
) -> Placement:
    """The placement for `nodes` that moves least from `old`, which is a placement that `Ring` accepts.

    Any number of nodes may have come or gone, and the factor may have changed. Surviving shards keep their order, and
    new ones follow them. Nodes beyond shards x factor become further copies. `zones`: what fails together with each
    node; one that is not named is a zone of its own. Raises ValueError if there are no nodes.
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
    replicas = [staying[shard] for shard in kept]
    shards = _deal_nodes(replicas, count, members)
    zone_of = {address: address for address in members} | dict(zones or {})
    if crowded([zone_of[address] for address in shard] for shard in shards):
        shards = _deal_nodes_across(zone_of, replicas, count, members)
    table = _deal_partitions(old.shards, staying, homes, kept, shards)
    return Placement(shards, table)


def _most_worth_keeping(old: Sequence[Shard], staying: Sequence[Shard], homes: Sequence[Sequence[int]]) -> list[int]:
    """The old shards, best first: those that still have their first replica, then those with the most replicas left,
    then those with the most partitions."""

    def worth(shard: int) -> tuple[bool, int, int]:
        return staying[shard][:1] == old[shard][:1], len(staying[shard]), len(homes[shard])

    return sorted(range(len(old)), key=worth, reverse=True)


def _deal_nodes(staying: Sequence[Shard], count: int, members: Sequence[Address]) -> tuple[Shard, ...]:
    """Each shard gets its staying replicas, up to its quota; then it is filled up with the other nodes, in order."""
    hands: list[list[Address]] = [[] for _ in range(count)]
    quotas = _quotas([len(replicas) for replicas in staying], count, len(members))
    for hand, quota, replicas in zip(hands, quotas, staying, strict=False):
        _top_up(hand, quota, iter(replicas))
    seated = frozenset(chain.from_iterable(hands))
    others = (address for address in members if address not in seated)
    for hand, quota in zip(hands, quotas, strict=True):
        _top_up(hand, quota, others)
    return tuple(tuple(hand) for hand in hands)


def _deal_nodes_across(
    zone_of: Mapping[Address, Zone], staying: Sequence[Shard], count: int, members: Sequence[Address]
) -> tuple[Shard, ...]:
    """As `deal_zones` wants it: each shard keeps its staying replicas, in their order, as far as it has seats for their
    zones; the other seats are filled with the other nodes, in order.

    The first replica is asked first, so a shard that has none begins with one of the zone that is first in the fewest:
    otherwise all requests would go to one zone.
    """
    zones = [[zone_of[address] for address in replicas] for replicas in staying]
    seats = deal_zones(zones, count, Counter(zone_of[address] for address in members))
    hands: list[list[Address]] = [[] for _ in range(count)]
    for hand, free, replicas in zip(hands, seats, staying, strict=False):
        for address in replicas:
            if free[zone_of[address]] > 0:
                free[zone_of[address]] -= 1
                hand.append(address)
    seated = frozenset(chain.from_iterable(hands))
    others: dict[Zone, list[Address]] = {}
    for address in reversed(members):
        if address not in seated:
            others.setdefault(zone_of[address], []).append(address)
    firsts = Counter(zone_of[hand[0]] for hand in hands if hand)
    for hand, free in zip(hands, seats, strict=True):
        coming = sorted(others[zone].pop() for zone in sorted(free.elements()))
        if not hand and coming:
            first = min(coming, key=lambda address: firsts[zone_of[address]])
            firsts[zone_of[first]] += 1
            coming.sort(key=lambda address: address != first)
        hand.extend(coming)
    return tuple(map(tuple, hands))


def _deal_partitions(
    old: Sequence[Shard],
    staying: Sequence[Shard],
    homes: Sequence[Sequence[int]],
    kept: Sequence[int],
    shards: Sequence[Shard],
) -> bytes:
    """Each shard gets what it had; then what its replicas had in their former shards; then whatever is left.

    What a shard without staying replicas had moves in any case, so it is no claim to a share that is rounded up.
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
    """The fair share of `total` for each of `count` shards, the first of which already hold `held`.

    The shares that are rounded up go first to shards that hold more than the share rounded down: each of these then
    keeps one thing more, so no other choice leaves more in place.
    """
    share, rounded_up = divmod(total, count)
    held = [*held, *[0] * (count - len(held))]
    quotas = [share] * count
    for shard in sorted(range(count), key=lambda shard: held[shard] <= share)[:rounded_up]:
        quotas[shard] += 1
    return quotas


def _top_up(hand: list[T], quota: int, source: Iterator[T]) -> None:
    hand.extend(islice(source, quota - len(hand)))
