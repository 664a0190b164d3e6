"""What fails together holds one copy at most: a whole host, or rack, is lost with its disks, and nothing with it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from msgspec.structs import replace

from node.net.messages import ReadResult
from tests.sim.ablations.all import named
from tests.sim.ablations.switch import switched_off
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine
from tests.sim.losses import outlives_its_hosts
from tests.sim.peace import read

KEYS = [b"k%d" % number for number in range(30)]
STEADY_S = 5.0


async def start(cluster: Cluster) -> None:
    for machine in cluster.machines.values():
        machine.start()
    await asyncio.sleep(STEADY_S)


async def write_all(machine: Machine) -> None:
    for key in KEYS:
        await machine.ask(lambda node, key=key: node.router.write(key, key))  # type: ignore[misc]


async def lose(machines: Collection[Machine]) -> None:
    """All at once, disks and all; they come back as new ones would."""
    for machine in machines:
        machine.crash()
        machine.lose_disk()
    for machine in machines:
        machine.start()
    await asyncio.sleep(STEADY_S)


async def count_missing(machine: Machine) -> int:
    outcomes = [await machine.ask(lambda node, key=key: read(node, key)) for key in KEYS]  # type: ignore[misc]
    found = [outcome.answer.value if isinstance(outcome.answer, ReadResult) else None for outcome in outcomes]
    return sum(value != key for key, value in zip(KEYS, found, strict=True))


def lose_a_host(cluster: Cluster) -> int:
    """How many of the keys are gone afterwards."""

    async def live() -> int:
        await start(cluster)
        first, second = cluster.hosts()[:2]
        await write_all(second[0])
        assert outlives_its_hosts(cluster)
        await lose(first)
        return await count_missing(second[1])

    return cluster.loop.run(live())


def test_host_with_two_nodes_is_lost_and_no_key() -> None:
    assert lose_a_host(Cluster(1, size=4, members=4, repl_factor=2, per_host=2)) == 0


def test_host_with_two_nodes_takes_keys_with_it_if_nodes_are_dealt_as_if_each_failed_by_itself() -> None:
    with switched_off(named("no zones")):
        assert lose_a_host(Cluster(1, size=4, members=4, repl_factor=2, per_host=2)) > 0


def test_host_that_came_with_a_view_change_is_lost_and_no_key() -> None:
    """Both of its nodes are taken in at once; and again one host after the other is lost and filled."""
    cluster = Cluster(1, size=6, members=4, repl_factor=2, per_host=2)

    async def live() -> None:
        await start(cluster)
        hosts = cluster.hosts()
        await write_all(hosts[0][0])
        await hosts[2][0].ask(lambda node: change(node, sorted(cluster.machines)), 40.0)
        for number in (2, 0, 1):
            assert outlives_its_hosts(cluster)
            await lose(hosts[number])
            assert await count_missing(hosts[number - 1][0]) == 0

    cluster.loop.run(live())


def test_rack_of_several_hosts_is_lost_and_no_key() -> None:
    """At the start nobody knows of racks; a view change to the same nodes makes them count, also after a node has been
    moved to another one."""
    cluster = Cluster(1, size=4, members=4, repl_factor=2)
    machines = list(cluster.machines.values())

    async def live() -> None:
        for racks in ("xxyy", "xyxy", "xyyx"):
            for machine, rack in zip(machines, racks, strict=True):
                if machine.host is not None:
                    machine.crash()
                machine.config = replace(machine.config, zone=rack)
            await start(cluster)
            await write_all(machines[0])
            await machines[3].ask(lambda node: change(node, sorted(cluster.machines)), 40.0)
            for rack in "xy":
                assert outlives_its_hosts(cluster)  # All have caught up.
                lost = [machine for machine in machines if machine.config.zone == rack]
                await lose(lost)
                (left, *_) = [machine for machine in machines if machine not in lost]
                assert await count_missing(left) == 0

    cluster.loop.run(live())


def test_zone_that_has_changed_moves_nothing_by_itself() -> None:
    cluster = Cluster(1, size=4, members=4, repl_factor=2)

    async def live() -> None:
        await start(cluster)
        machine = cluster.machines["n1:1"]
        assert machine.node is not None
        before = machine.node.views.view_id
        machine.crash()
        machine.config = replace(machine.config, zone="n2")
        machine.start()
        await asyncio.sleep(STEADY_S)
        for other in cluster.machines.values():
            assert other.node is not None and other.node.views.view_id == before
            assert other.node.handoff.is_settled()

    cluster.loop.run(live())
