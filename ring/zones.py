"""How many nodes of each zone every shard gets, so that what fails together holds as few copies of a shard as can be.

Owns what *spread* means, and the one dealing that makes it true. Nodes of a zone fail together: were both copies of a
shard in one, it would take their keys with it. Spread is
- each zone over the shards: the copies that any two shards have in it differ in number by at most one;
- each shard over the zones: the numbers of zones that any two shards are in differ by at most one.
So no two copies of a shard are in one zone unless that has more nodes than there are shards, and no shard is in one
zone alone while another could spare it a copy elsewhere. There always is such a dealing, whatever the numbers: deal the
nodes zone by zone, those with fewer nodes than there are shards first, to one shard after the other, round and round.

Of all such dealings `deal_zones` finds one that leaves the most replicas where they are. That is a flow of least cost
(successive shortest paths, as in Ahuja, Magnanti and Orlin, Network Flows, chapter 9): a seat in a shard costs nothing
for a node that stays there, something for one that moves there, and more than all moves together where it makes the
shard larger, or spread over more zones, than the smaller share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import TypeAlias

Zone: TypeAlias = str


def crowded(shards: Iterable[Iterable[Zone]]) -> dict[int, tuple[Zone, ...]]:
    """The shards whose copies share a zone though they need not, by their indexes, and the zones they share, ascending.

    `shards`: the zones of the replicas of each. Empty if, and only if, they are spread.
    """
    copies = [Counter(zones) for zones in shards]
    counts: dict[Zone, list[int]] = {}
    for held in copies:
        for zone, count in held.items():
            counts.setdefault(zone, []).append(count)
    fewest = {zone: min(held) if len(held) == len(copies) else 0 for zone, held in counts.items()}
    most_zones = max(map(len, copies), default=0)
    found = {}
    for shard, held in enumerate(copies):
        uneven = any(count > fewest[zone] + 1 for zone, count in held.items())
        if uneven or len(held) < most_zones - 1:
            found[shard] = tuple(sorted(zone for zone, count in held.items() if count > 1))
    return found


def deal_zones(staying: Sequence[Sequence[Zone]], count: int, sizes: Mapping[Zone, int]) -> list[Counter[Zone]]:
    """For each of `count` shards, how many nodes of each zone it gets: spread, of sizes that differ by at most one, and
    with the most replicas left where they are; among these, with the most first ones.

    `staying`: the zones of the replicas that each shard has, in their order; of the shards after these there is none.
    `sizes`: the nodes of each zone, those that stay among them.
    """
    shares = Counter({zone: size // count for zone, size in sizes.items() if size >= count})
    seats = _Seats(staying, count, sizes)
    for zone in sorted(sizes):
        for _ in range(sizes[zone] % count):
            seats.take(zone)
    return [shares + Counter(extra) for extra in seats.held]


_END, _SHARDS = 0, 1
"""The numbers of vertices: the end, the shards, their doors, the zones. Of two that cost the same the lower is tried
first, so a free seat before any that somebody has to leave."""


class _Seats:
    """What each shard gets beyond the share of each zone that all shards get: one more of some zones.

    Vertices of the flow are the zones; of each shard a *door*, through which the zones of fewer nodes than there are
    shards come in, and the shard; and the end. A potential of each keeps all costs from 0.
    """

    def __init__(self, staying: Sequence[Sequence[Zone]], count: int, sizes: Mapping[Zone, int]) -> None:
        self.held: list[set[Zone]] = [set() for _ in range(count)]
        self._names = sorted(zone for zone, size in sizes.items() if size % count)
        self._numbers = {zone: number for number, zone in enumerate(self._names)}
        self._scarce = frozenset(zone for zone in self._names if sizes[zone] < count)
        self._scarce_held = [0] * count
        self._share = sum(sizes[zone] % count for zone in self._names) // count
        self._scarce_share = sum(sizes[zone] for zone in self._scarce) // count
        self._moved = count + 2
        self._uneven = (self._moved + 1) * (sum(sizes.values()) + 1)
        self._taken = self._uneven * (sum(sizes.values()) + 1)
        self._stays = [_costs_of_staying(zones, count, sizes) for zones in staying]
        self._stays += [{} for _ in range(count - len(staying))]
        cheapest = dict.fromkeys(self._names, self._moved)
        for costs in self._stays:
            for zone, cost in costs.items():
                cheapest[zone] = min(cost, cheapest.get(zone, cost))
        self._doors, self._zones = 1 + count, 1 + 2 * count
        self._potentials = [0] * self._zones + [-cheapest[zone] for zone in self._names]

    def take(self, zone: Zone) -> None:
        """Seat one more node of `zone`, at the least cost; others may change seats for it."""
        start = self._zones + self._numbers[zone]
        seat, bound = self._free_seat(zone)
        costs, came_from, heap = {start: 0}, dict[int, int](), [(0, start)]
        while heap and heap[0][1] != _END:
            cost, vertex = heappop(heap)
            if cost > costs[vertex] or cost >= bound:
                continue
            so_far = cost + self._potentials[vertex]
            for onward, step in self._steps(vertex):
                found = so_far + step - self._potentials[onward]
                if found < costs.get(onward, bound):
                    costs[onward], came_from[onward] = found, vertex
                    heappush(heap, (found, onward))
        least = costs.get(_END, bound)
        for vertex, cost in costs.items():
            self._potentials[vertex] += min(cost - least, 0)
        if _END not in costs:
            self._seat(zone, seat)
            return
        vertex = came_from[_END]
        while vertex != start:
            self._change(came_from[vertex], vertex)
            vertex = came_from[vertex]

    def _free_seat(self, zone: Zone) -> tuple[int, int]:
        """The shard with the cheapest seat that nobody has to leave, and how much that is above the least that any
        seat can cost now; this may be the price of none."""
        least = -self._potentials[self._zones + self._numbers[zone]]
        scarce = zone in self._scarce
        best, seat = self._taken, 0
        for shard, held in enumerate(self.held):
            beyond = len(held) - self._share
            scarce_beyond = self._scarce_held[shard] - self._scarce_share if scarce else -1
            if beyond > 0 or scarce_beyond > 0 or zone in held:
                continue
            price = self._stays[shard].get(zone, self._moved)
            price += self._uneven * ((beyond == 0) + (scarce_beyond == 0))
            if price < best:
                best, seat = price, shard
                if best == least:
                    break
        return seat, best - least

    def _steps(self, vertex: int) -> Iterator[tuple[int, int]]:
        """Where a node that comes to `vertex` may go on to, and what that costs: into a shard, or it takes the seat of
        a node of another zone, which has to find another one."""
        if vertex >= self._zones:
            zone = self._names[vertex - self._zones]
            first = self._doors if zone in self._scarce else _SHARDS
            for shard, held in enumerate(self.held):
                if zone not in held:
                    yield first + shard, self._stays[shard].get(zone, self._moved)
        elif vertex >= self._doors:
            shard = vertex - self._doors
            if self._scarce_held[shard] <= self._scarce_share:
                is_more = self._scarce_held[shard] == self._scarce_share
                yield _SHARDS + shard, self._uneven if is_more else 0
            yield from self._unseated(shard, self.held[shard] & self._scarce)
        else:
            shard = vertex - _SHARDS
            if len(self.held[shard]) <= self._share:
                yield _END, self._uneven if len(self.held[shard]) == self._share else 0
            if self._scarce_held[shard]:
                is_more = self._scarce_held[shard] > self._scarce_share
                yield self._doors + shard, -self._uneven if is_more else 0
            yield from self._unseated(shard, self.held[shard] - self._scarce)

    def _unseated(self, shard: int, zones: Collection[Zone]) -> Iterator[tuple[int, int]]:
        for zone in zones:  # In any order: the heap has its own.
            yield self._zones + self._numbers[zone], -self._stays[shard].get(zone, self._moved)

    def _change(self, vertex: int, onward: int) -> None:
        """Do what a step of the path says."""
        if vertex >= self._zones:
            self._seat(self._names[vertex - self._zones], (onward - _SHARDS) % len(self.held))
        elif onward >= self._zones:
            zone, shard = self._names[onward - self._zones], (vertex - _SHARDS) % len(self.held)
            self.held[shard].remove(zone)
            self._scarce_held[shard] -= zone in self._scarce

    def _seat(self, zone: Zone, shard: int) -> None:
        self.held[shard].add(zone)
        self._scarce_held[shard] += zone in self._scarce


def _costs_of_staying(zones: Sequence[Zone], count: int, sizes: Mapping[Zone, int]) -> dict[Zone, int]:
    """What one more seat of a zone costs in a shard with replicas in `zones`, where one of these can take it."""
    copies = Counter(zones)
    costs = {zone: 1 for zone in copies if copies[zone] > sizes[zone] // count}
    if zones and sizes[zones[0]] < count:
        costs[zones[0]] = 0
    return costs
