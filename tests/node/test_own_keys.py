"""The figures of what a node owns. That they follow what is written, moved and swept is tested with the whole node."""

from __future__ import annotations

from node.own_keys import OwnKeys
from tests.node.parts import A, B, node_a, on_virtual_time, record


@on_virtual_time
async def test_own_keys_are_those_of_the_partitions_that_the_node_owns() -> None:
    a = await node_a(A, B)
    figures = OwnKeys(a.config, a.store, a.views)
    assert figures.count == 0
    nothing = figures.digest
    await a.keep((a.foreign_key(), record(1)))
    assert figures.count == 0 and figures.digest == nothing
    await a.keep((a.own_keys(1)[0], record(1)), (a.own_keys(2)[1], record(2, None)))
    assert figures.count == 1 and figures.digest != nothing
