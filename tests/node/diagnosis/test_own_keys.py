"""What a node counts of its own keys; more is in `tests/node/test_node.py`."""

from __future__ import annotations

from node.diagnosis.own_keys import OwnKeys
from node.net.messages import KeyCounts, Unable
from ring.hashing import pack, partition_of
from tests.node.lone_owner import lone_owner
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


@on_virtual_time
async def test_own_keys_are_counted_by_partition_whoever_owns_them() -> None:
    async with lone_owner(B) as lone:
        await lone.hold(b"k", record(5))
        partition = partition_of(b"k")
        assert lone.node.own_keys.counts(pack([partition, partition ^ 1])) == KeyCounts((1, 0))
        assert lone.node.own_keys.counts(b"\xff") == Unable()
        assert lone.node.own_keys.count == 1


@on_virtual_time
async def test_own_keys_are_counted_once_as_long_as_nothing_changes() -> None:
    async with lone_owner(B) as lone:
        own = lone.node.own_keys
        assert own.count == 0
        counted = own._counted
        assert own.count == 0 and own._counted is counted
        await lone.hold(b"k", record(5))
        assert own.count == 1 and own._counted is not counted
