"""From one view to the next: where the keys will live, and who may still hold them. Pure functions.

The donors of a partition that gets a new owner are its earlier owners, those that remain included: the new one must not
speak before it has heard one of them. So is, alone, whoever still had something for those, if it answered the
coordinator, which also asks those of whom gossip says so: see `census`. An earlier owner is named even if it was
silent: it may have been paused, and back at work under the old view before the new one is in force; only by asking it
is it fenced. One outside the view costs nothing while it is down, and is not named again by the view after that. Should
it return later still, it announces itself.

In which zone a node is, it says itself; the nodes of the next view are dealt by that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from gossip.view import Address, Electors, Former, View, Zone, host_of
from node.net.messages import Status
from node.views.change_conditions import TakeBack, Wish
from node.views.rules import ring_of
from ring.hashing import pack, unpack
from ring.placement import Placement, next_placement
from ring.reshard import Move, moves, regions
from ring.ring import Ring
from ring.sets import partitions_in
from ring.zones import crowded


class Plan(NamedTuple):
    placement: Placement
    old_ring: Ring
    ring: Ring
    repl_factor: int | None
    donors: Mapping[tuple[Address, bool], int]
    """The set of partitions of which each may hold keys, and whether some that nobody else has."""
    zones: Mapping[Address, Zone]
    """Of the nodes of the next view."""

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(moves(self.old_ring, self.ring))

    def partitions_by_source(self, answered: Collection[Address]) -> dict[Address, list[int]]:
        """The partitions that are brought by each present owner: by the first of several that has `answered`, if any
        has."""
        partitions: dict[Address, list[int]] = {}
        for move in self.moves:
            source = next((source for source in move.sources if source in answered), move.sources[0])
            partitions.setdefault(source, []).append(move.partition)
        return partitions

    def view(
        self,
        old: View,
        epoch: int,
        coordinator: Address,
        spare_until_ms: int,
        former: tuple[Former, ...] = (),
        absent: Collection[Address] = (),
        electors: tuple[Electors, ...] = (),
    ) -> View:
        donors = tuple(
            (address, alone, pack(partitions_in(bits))) for (address, alone), bits in sorted(self.donors.items())
        )
        return View(
            old.lineage_of_successor,
            epoch,
            old.id,
            coordinator,
            self.repl_factor,
            self.placement.shards,
            self.placement.table,
            donors,
            spare_until_ms,
            tuple((node, zone) for node, zone in sorted(self.zones.items()) if zone != host_of(node)),
            former,
            tuple(sorted(absent)),
            electors,
        )


def plan_change(
    old: View,
    nodes: Iterable[Address],
    repl_factor: int | None,
    answered: Mapping[Address, Status],
    placement: Placement | None = None,
) -> Plan:
    """The next view's content. `answered`: where those who will hear of the new view stand. `placement`: where these
    nodes are to have everything; None: wherever that moves least."""
    zones = zones_told(old, nodes, answered)
    placement = placement or next_placement(Placement(old.shards, old.table), zones, repl_factor, zones)
    old_ring, new_ring = ring_of(old), Ring(placement)
    donors: defaultdict[tuple[Address, bool], int] = defaultdict(int)
    for (sources, owners), partitions in regions(old_ring, new_ring).items():
        gains = not set(owners) <= set(sources)
        for source in sources:
            if gains or source not in owners:
                donors[source, False] |= partitions
        for address in set().union(*(_awaited_by(source, answered) for source in sources)) - set(sources):
            donors[address, True] |= partitions
    return Plan(placement, old_ring, new_ring, repl_factor, donors, zones)


def zones_told(old: View, nodes: Iterable[Address], answered: Mapping[Address, Status]) -> dict[Address, Zone]:
    """The zone of each of `nodes`: as it says itself, or else as `old` says, or else its host."""
    known = {node: status.zone_at(node) for node, status in answered.items()}
    return {node: known.get(node) or old.zone_of.get(node) or host_of(node) for node in nodes}


def is_dealt_by_zones(view: View, answered: Mapping[Address, Status]) -> bool:
    """Whether there is nothing to mend in how the nodes of `view` are dealt: it says of each node the zone that the
    node says itself, and no copies share a zone that need not."""
    zones = zones_told(view, view.nodes, answered)
    return zones == view.zone_of and not crowded([zones[node] for node in shard] for shard in view.shards)


def plan_for(old: View, wish: Wish | TakeBack, answered: Mapping[Address, Status]) -> Plan:
    """What the view after `old` will be if this is wished; see `plan_change`."""
    target = wish.under(old)
    placement = placement_before(old) if isinstance(wish, TakeBack) else None
    return plan_change(old, target.nodes, target.repl_factor, answered, placement)


def placement_before(view: View) -> Placement | None:
    """Where everything was in the view that `view` was built on, and may be taken back to; None if it does not tell.

    What has not moved yet is then at home again, and only what has moves back. The table need not be kept: what got new
    owners names its earlier ones among the donors, and those of the rest are still owners."""
    former = next(iter(view.former), None)
    if former is None or former.id != view.base:
        return None
    home = {address: shard for shard, replicas in enumerate(former.shards) for address in replicas}
    stayed = [next((home[owner] for owner in owners if owner in home), None) for owners in view.shards]
    table = [stayed[shard] for shard in unpack(view.table)]
    for donor, alone, partitions in view.donors:
        if not alone and donor in home:
            for partition in unpack(partitions):
                table[partition] = home[donor]
    homes = [shard for shard in table if shard is not None]
    return Placement(former.shards, pack(homes)) if len(homes) == len(table) else None


def _awaited_by(source: Address, answered: Mapping[Address, Status]) -> set[Address]:
    """Those of `answered` that have something for `source`: it says so, or, if it is down, they do."""
    status = answered.get(source)
    awaited = {owed.address for owed in status.waiting} & answered.keys() if status else set()
    return awaited | {node for node, status in answered.items() if source in (owed.address for owed in status.handing)}
