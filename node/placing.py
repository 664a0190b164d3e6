"""From one view to the next: where the keys will live, and who may still hold them. Pure functions.

The donors of a partition are its earlier owners, and whoever still had something for those, if it answered the
coordinator. An earlier owner is named even if it was silent: it may have been paused, and back at work under the
old view before the new one is in force; only by asking it is it fenced. One outside the view costs nothing while it is
down, and is not named again by the view after that. Should it return later still, it announces itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gossip.view import Address, View
from node.views import ring_of
from node.wire import Status
from ring.hashing import pack
from ring.placement import Placement, next_placement
from ring.reshard import Move, moves, regions
from ring.ring import Ring


class Plan(NamedTuple):
    placement: Placement
    old_ring: Ring
    ring: Ring
    repl_factor: int | None
    donors: Mapping[Address, Iterable[int]]
    """The partitions of which each may hold keys."""

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(moves(self.old_ring, self.ring))

    def partitions_by_source(self) -> dict[Address, list[int]]:
        """The partitions that leave each present owner."""
        partitions: dict[Address, list[int]] = {}
        for move in self.moves:
            partitions.setdefault(move.sources[0], []).append(move.partition)
        return partitions

    def view(self, old: View, epoch: int, coordinator: Address) -> View:
        donors = tuple((address, pack(sorted(partitions))) for address, partitions in sorted(self.donors.items()))
        return View(
            old.lineage_of_successor,
            epoch,
            old.stamp,
            coordinator,
            self.repl_factor,
            self.placement.shards,
            self.placement.table,
            donors,
        )


def plan_change(
    old: View, nodes: Iterable[Address], repl_factor: int | None, answered: Mapping[Address, Status]
) -> Plan:
    """The next view's content. `answered`: where those who will hear of the new view stand."""
    placement = next_placement(Placement(old.shards, old.table), nodes, repl_factor)
    old_ring, new_ring = ring_of(old), Ring(placement)
    donors: dict[Address, set[int]] = {}
    for (sources, owners), partitions in regions(old_ring, new_ring).items():
        for source in sources:
            for address in {source, *_awaited_by(source, answered)} - set(owners):
                donors.setdefault(address, set()).update(partitions)
    return Plan(placement, old_ring, new_ring, repl_factor, donors)


def _awaited_by(source: Address, answered: Mapping[Address, Status]) -> set[Address]:
    """Those of `answered` that have something for `source`: it says so, or, if it is down, they do."""
    status = answered.get(source)
    awaited = {owed.address for owed in status.waiting} & answered.keys() if status else set()
    return awaited | {node for node, status in answered.items() if source in (owed.address for owed in status.handing)}
