"""Values that tests of a node are about, in few words: a configuration, views, and who is a donor of what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gossip.view import Address, View
from node.config import Config
from node.values.donors import Kind, Share
from ring.placement import Placement, next_placement
from ring.sets import partitions_in

CONFIG = Config.for_test("a:1", ("a:1",), Path("/nowhere"))
"""For parts that need no node around them."""
JOBS_S_MAX = CONFIG.jobs_s_max


class Row(NamedTuple):
    """What a list of donors says, one partition at a time."""

    partition: int
    donor: Address
    kind: Kind


def shares_of(*rows: Row) -> dict[Address, Share]:
    shares: dict[Address, Share] = {}
    for partition, donor, kind in rows:
        row = Share(*(1 << partition if kind is kind_ else 0 for kind_ in Kind))
        shares[donor] = shares.get(donor, Share()).joined(row)
    return shares


def rows_of(shares: Mapping[Address, Share]) -> list[Row]:
    """The reverse, in order."""
    return sorted(
        Row(partition, donor, kind)
        for donor, share in shares.items()
        for kind, held in zip(Kind, share, strict=True)
        for partition in partitions_in(held)
    )


def successor(old: View, *nodes: Address, coordinator: Address = "c:1", epoch: int | None = None) -> View:
    """A view of `nodes` built on `old`, without donors."""
    placement = next_placement(Placement(old.shards, old.table), nodes, old.repl_factor)
    return View(
        old.lineage_of_successor,
        old.epoch + 1 if epoch is None else epoch,
        old.id,
        coordinator,
        old.repl_factor,
        placement.shards,
        placement.table,
        (),
    )
