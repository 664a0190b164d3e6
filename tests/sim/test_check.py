"""A node's check must be able to fail: whatever is bent in memory or on disk, it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from node.node import Node
from node.storage.transaction import Stats
from node.values.donors import DonorsChange, Share
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring
from tests.sim.cluster import Cluster

KEY = b"k"
PARTITION = partition_of(KEY)


def miscount(node: Node) -> None:
    node._store._stats[PARTITION] = Stats(2, 1, 0)


def hide_partition(node: Node) -> None:
    node._store.occupied = frozenset()


def invent_donor(node: Node) -> None:
    node.views.donors.change(DonorsChange(put={"x:1": Share(alone=1 << PARTITION)}))


def take_another_ring(node: Node) -> None:
    node.views.ring = Ring(first_placement(["n1:1", "x:1"], None))


def misplace(node: Node) -> None:
    node.handoff._misplaced = {("x:1",): [PARTITION]}


def forget_a_member(node: Node) -> None:
    node.gossip._members._in_view = frozenset(["nobody:1"])


@pytest.mark.parametrize(
    "bend",
    [miscount, hide_partition, invent_donor, take_another_ring, misplace, forget_a_member],
    ids=lambda f: f.__name__,
)
def test_check_notices(bend: Callable[[Node], None]) -> None:
    cluster = Cluster(seed=1, size=1, members=1)
    (machine,) = cluster.machines.values()

    async def live() -> None:
        machine.start()
        await asyncio.sleep(1)
        assert machine.node is not None
        await machine.ask(lambda node: node.router.write(KEY, b"1"))
        machine.node.check()
        bend(machine.node)
        with pytest.raises(AssertionError):
            machine.node.check()

    cluster.loop.run(live())


def test_check_of_changed_partitions_notices() -> None:
    cluster = Cluster(seed=1, size=1, members=1)
    (machine,) = cluster.machines.values()

    async def live() -> None:
        machine.start()
        await asyncio.sleep(1)
        assert machine.node is not None
        await machine.ask(lambda node: node.router.write(KEY, b"1"))
        miscount(machine.node)
        machine.node.check([PARTITION + 1])
        with pytest.raises(AssertionError):
            machine.node.check([PARTITION])

    cluster.loop.run(live())
