"""What a node forgets of that which belongs to others, compared across disks: as many of the owners must have it as the
factor asks for, or the next disk that is lost may be the one with the last copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gossip.view import Address, ViewId
from node.node import Node
from node.values.record import Record
from node.values.version import Version
from ring.hashing import partition_of
from tests.sim.registers import Violation
from tests.sim.trace import name_of, names_of

if TYPE_CHECKING:
    from tests.sim.cluster import Machine

HANDED_OVER_S = 4.0
"""An owner whose disk was lost so lately may have confirmed before that what is forgotten now."""


def check_drops(node: Node, records: Mapping[bytes, Record], machines: Mapping[Address, Machine], now: float) -> None:
    """Raises Violation if `node` has just dropped, of what it does not own, something that too few of the owners
    have."""
    view, ring, me = node.views.current, node.views.ring, node.config.address
    if now - machines[me].troubled_at < HANDED_OVER_S:
        return  # What it drops may have been confirmed before it was paused, however long ago that was.
    for key, record in records.items():
        owners = ring.owners(partition_of(key))
        if me in owners or any(now - machines[owner].lost_at < HANDED_OVER_S for owner in owners):
            continue
        have = [owner for owner in owners if _has(owner, key, record.version, view.id, machines)]
        needed = min(len(owners), view.repl_factor or 1)
        if len(have) < needed:
            raise Violation(
                f"{name_of(me)} has forgotten {key!r}, which of its owners [{names_of(owners)}] only "
                f"[{names_of(have)}] have: {needed} should"
            )


def _has(owner: Address, key: bytes, version: Version, view_id: ViewId, machines: Mapping[Address, Machine]) -> bool:
    """Whether an owner under this view has it on disk; or, if it has moved on to a later one, which may be a rival of
    the same epoch, and has forgotten it, somebody who owns it there."""
    held = machines[owner].disk.record(key)
    if held is not None and held.version >= version:
        return True
    node = machines[owner].node
    if node is None or node.views.view_id <= view_id:
        return False
    later = node.views.ring.owners(partition_of(key))
    return owner not in later and any(_has(other, key, version, node.views.view_id, machines) for other in later)
