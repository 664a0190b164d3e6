"""Nodes that are far apart, and large values on slow links: who is there is not taken for gone, whatever takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from node.net.messages import ReadResult, Wrote
from node.time_limits import limits_for
from tests.sim.cluster import Cluster, Machine
from tests.sim.network import Rates
from tests.sim.peace import read

MEGABYTE = b"x" * 2**20
STEADY_S = 10.0


def cluster_of(rates: Rates, timing: Mapping[str, float] | None = None, size: int = 2) -> Cluster:
    return Cluster(1, size, size, repl_factor=size, rates=rates, timing=timing)


async def start(cluster: Cluster) -> list[Machine]:
    machines = list(cluster.machines.values())
    for machine in machines:
        machine.start()
    await asyncio.sleep(STEADY_S)
    return machines


async def put(machine: Machine, key: bytes, value: bytes) -> None:
    outcome = await machine.ask(lambda node: node.router.write(key, value), machine.config.patience_s)
    assert isinstance(outcome.answer, Wrote)


async def get(machine: Machine, key: bytes) -> bytes | None:
    outcome = await machine.ask(lambda node: read(node, key), machine.config.patience_s)
    assert isinstance(outcome.answer, ReadResult)
    return outcome.answer.value


def holds(machine: Machine, key: bytes) -> bool:
    """Whether a record of it is on its disk."""
    return any(place[2:] == key for place in machine.stored_at)


async def demand_that_nobody_is_down(cluster: Cluster) -> None:
    """For as long as it is not cancelled."""
    while True:
        for machine in cluster.machines.values():
            assert machine.node is not None
            down = [other for other in cluster.machines if machine.node.transport.is_down(other)]
            assert not down, f"{machine.address} takes {down} for gone at {cluster.loop.now}"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("size", [2, 3])
def test_large_values_on_slow_links_are_on_all_copies_when_they_are_acknowledged(size: int) -> None:
    """A megabyte takes 0.7 s over 12 Mbit/s, longer than a silence."""
    cluster = cluster_of(Rates(slow=0.0, bytes_s=12_000_000 / 8), size=size)

    async def story() -> None:
        machines = await start(cluster)
        watch = asyncio.ensure_future(demand_that_nobody_is_down(cluster))
        for number, machine in enumerate(machines):
            key = b"large %d" % number
            await put(machine, key, MEGABYTE)
            assert all(holds(other, key) for other in machines)
        for machine in machines:
            assert await get(machine, b"large 0") == MEGABYTE
        assert not watch.done(), watch
        watch.cancel()

    cluster.loop.run(story())


def test_large_values_through_another_node_are_written_and_read_on_slow_links() -> None:
    """Each of them crosses the wire more than once, each way."""
    cluster = Cluster(1, 4, 4, repl_factor=2, rates=Rates(slow=0.0, bytes_s=20_000_000 / 8))

    async def story() -> None:
        machines = await start(cluster)
        watch = asyncio.ensure_future(demand_that_nobody_is_down(cluster))
        for number in range(4):
            for machine in machines:
                await put(machine, b"large %d" % number, MEGABYTE)
            for machine in machines:
                assert await get(machine, b"large %d" % number) == MEGABYTE
        assert not watch.done(), watch
        watch.cancel()

    cluster.loop.run(story())


@pytest.mark.parametrize("round_trip_ms", [200, 480, 1000, 2000])
def test_far_nodes_that_are_made_for_it_keep_all_copies_and_do_without_one_that_dies(round_trip_ms: int) -> None:
    one_way_s = round_trip_ms / 2000
    cluster = cluster_of(Rates(delay_s=one_way_s, slow=0.0), limits_for(round_trip_ms))

    async def story() -> None:
        one, other = await start(cluster)
        await asyncio.sleep(2 * cluster.config.empty_wait_s)
        watch = asyncio.ensure_future(demand_that_nobody_is_down(cluster))
        for number in range(10):
            await put((one, other)[number % 2], b"%d" % number, b"1")
            assert holds(one, b"%d" % number) and holds(other, b"%d" % number)
        assert one.node is not None and not one.node.owner._co_owners.unleased(), "reads need not ask"
        assert not watch.done(), watch
        watch.cancel()
        other.crash()
        for number in range(10):
            await put(one, b"%d" % number, b"2")
            assert await get(one, b"%d" % number) == b"2"

    cluster.loop.run(story())


def test_far_nodes_that_are_not_made_for_it_know_it_though_they_only_gossip() -> None:
    """A dial takes four ways, which is less than a silence here."""
    cluster = Cluster(1, 2, 2, repl_factor=1, rates=Rates(delay_s=0.1, steady=True, slow=0.0, cast_loss=0.0))

    async def story() -> None:
        one, other = await start(cluster)
        for machine, peer in ((one, other), (other, one)):
            assert machine.node is not None
            silence_s = machine.node.transport.silence_s(peer.address)
            assert silence_s == pytest.approx(cluster.config.silence_over(0.2))

    cluster.loop.run(story())


def test_far_nodes_that_are_not_made_for_it_keep_all_copies_nevertheless() -> None:
    cluster = cluster_of(Rates(delay_s=0.2, slow=0.0))

    async def story() -> None:
        one, other = await start(cluster)
        for number in range(10):
            await put((one, other)[number % 2], b"%d" % number, b"1")
            assert holds(one, b"%d" % number) and holds(other, b"%d" % number)
            assert await get((other, one)[number % 2], b"%d" % number) == b"1"

    cluster.loop.run(story())
