"""Views, as nodes send them and as they are on disk: in order, or refused; and what can be taken can be used."""

from __future__ import annotations

import msgspec

from gossip.view import BadView, View, ViewId, decode_view
from node.views.plan import placement_before
from node.views.rules import ring_of
from ring.hashing import PARTITIONS, pack
from ring.placement import first_placement
from tests.fuzz.target import Target
from tests.golden.samples import EPOCH_0, EPOCH_1, EPOCH_2, EPOCH_3, EPOCH_4


def check(data: bytes) -> None:
    try:
        view = decode_view(data)
    except BadView:
        return
    assert decode_view(view.encoded) == view
    assert view.id == decode_view(view.encoded).id and view.id.epoch == view.epoch
    assert view.nodes == set(view.zone_of) and view.lineage_of_successor >= 0
    assert not view.id.supersedes(view.id) and str(view.id)
    try:
        ring = ring_of(view)
    except BadView:
        return
    owned = [ring.bits_of(node) for node in view.nodes]
    assert all(owners for owners in (ring.owners(partition) for partition in (0, PARTITIONS - 1)))
    assert sum(bits.bit_count() for bits in owned) >= PARTITIONS
    placement_before(view)


def whole(view: View) -> View:
    """With a table for all partitions, as only such a view comes into force."""
    table = pack([place * len(view.shards) // PARTITIONS for place in range(PARTITIONS)])
    return msgspec.structs.replace(view, table=table)


_NODES = ("a:1", "b:1", "c:1")
_FIRST = first_placement(_NODES, 2, {node: node for node in _NODES})
VIEWS = Target(
    "views",
    check,
    [
        *(view.encoded for view in (EPOCH_0, EPOCH_1, EPOCH_2, EPOCH_3, EPOCH_4)),
        *(whole(view).encoded for view in (EPOCH_1, EPOCH_4)),
        View(0, 0, None, "", 2, _FIRST.shards, _FIRST.table, ()).encoded,
        View(1, 1, ViewId(0, 1), "a:1", 2, _FIRST.shards, _FIRST.table, (("d:1", True, pack([0, 4095])),)).encoded,
    ],
    is_msgpack=True,
    examples=200,
)
