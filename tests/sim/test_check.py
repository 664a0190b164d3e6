"""A node's check must be able to fail: whatever is bent in memory or on disk, it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import patch

import pytest

from node.node import Node
from node.replication.peer_state import NEVER, PeerState
from node.storage.transaction import Stats
from node.values.donors import DonorsChange, Share
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring
from tests.sim.cluster import Cluster
from tests.sim.leases import check_leases

KEY = b"k"
PARTITION = partition_of(KEY)


def miscount(node: Node) -> None:
    node.store._stats[PARTITION] = Stats(2, 1, 0)


def hide_partition(node: Node) -> None:
    node.store.occupied = frozenset()


def invent_donor(node: Node) -> None:
    node.views.donors.change(DonorsChange(put={"x:1": Share(alone=1 << PARTITION)}))


def take_another_ring(node: Node) -> None:
    node.views.ring = Ring(first_placement(["n1:1", "x:1"], None))


def misplace(node: Node) -> None:
    node.handoff._misplaced = {("x:1",): [PARTITION]}


def forget_a_member(node: Node) -> None:
    node.gossip._members._in_view = frozenset(["nobody:1"])


def wait_though_filled(node: Node) -> None:
    node.co_owners._filling.become_filled()
    node.co_owners._filling._wait_until = 1e9


@pytest.mark.parametrize(
    "bend",
    [miscount, hide_partition, invent_donor, take_another_ring, misplace, forget_a_member, wait_though_filled],
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


def date_forward(holder: PeerState, _: PeerState) -> None:
    """As if the lease counted from the answer, not from the question."""
    holder._leased_at += 0.05


def forget_the_grant(_: PeerState, giver: PeerState) -> None:
    giver._granted_at -= 0.2


@pytest.mark.parametrize("bend", [date_forward, forget_the_grant], ids=lambda f: f.__name__)
@pytest.mark.parametrize("is_paused", [False, True], ids=["running", "paused"])
def test_check_of_leases_notices(bend: Callable[[PeerState, PeerState], None], is_paused: bool) -> None:
    cluster = Cluster(seed=1, size=2, members=2, repl_factor=2)
    one, other = cluster.machines.values()

    async def live() -> None:
        one.start()
        other.start()
        await asyncio.sleep(1)
        assert one.node is not None and other.node is not None
        if is_paused:
            one.freeze()
        holder, giver = one.node.co_owners.get(other.address), other.node.co_owners.get(one.address)
        assert holder is not None and giver is not None and holder.leased_until > NEVER
        check_leases(other, cluster.machines, cluster.loop.now)
        bend(holder, giver)
        for machine in (one, other):
            with pytest.raises(AssertionError):
                check_leases(machine, cluster.machines, cluster.loop.now)

    cluster.loop.run(live())


def test_check_of_leases_is_a_step_of_the_simulator() -> None:
    """A giver that forgets what it has given is found by the next commit of either."""
    cluster = Cluster(seed=1, size=2, members=2, repl_factor=2)
    one, other = cluster.machines.values()

    async def live() -> None:
        one.start()
        other.start()
        await asyncio.sleep(1)
        with patch.object(PeerState, "grant_ends_at", property(lambda state: state._granted_at + 0.2)):
            await one.ask(lambda node: node.router.write(KEY, b"1"))
            await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="holds a lease"):
        cluster.loop.run(live())


def test_check_of_settings_keeps_gossip_from_forgetting_who_may_come_home() -> None:
    cluster = Cluster(seed=1, size=1, members=1, timing={"tombstone_grace_s": 25 * 3600.0})

    async def live() -> None:
        cluster.machines["n1:1"].start()
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="may bring something home"):
        cluster.loop.run(live())
