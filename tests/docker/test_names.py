"""Containers that are replaced, as by Kubernetes: with the same names, environment and volumes, and other IPs.

Each new container has an IP that another one had before. So wherever anybody remembers an IP, he finds the wrong node
there, and not nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest

from tests.cluster import Client, eventually
from tests.docker.chaos import named
from tests.docker.clients import RATE_PER_S, Clients
from tests.docker.containers import LABEL, SPOTS, SUBNET, Containers, Spot, at_once, docker, inspect
from tests.process.name_server import DOMAIN, Names

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

COPIES = 2
ROUNDS = 2
SPARE_IP = SPOTS[0].ip.rsplit(".", 1)[0] + ".99"
LIES = ("late", "another's", "unknown", "silent")
"""What a name server says of a node that has moved: where it was before; where another one is; that there is no such
name; or nothing."""


class Pods:
    """Nodes with names, volumes, and IPs that change. `options`: of each `docker run`."""

    def __init__(self, containers: Containers, http: Client, spots: Sequence[Spot], options: Sequence[str]) -> None:
        self._containers = containers
        self._http = http
        self._view = spots
        self._options = options
        self.spots = spots
        """With the IPs that they have now."""

    async def open(self) -> None:
        """Make volumes, and start them all."""
        for spot in self.spots:
            await docker("volume", "create", "--label", LABEL, volume_of(spot))
        await self.start(*self.spots)
        await self.ready()

    async def start(self, *spots: Spot) -> None:
        await asyncio.gather(*map(self._start, spots))

    async def _start(self, spot: Spot) -> None:
        await self._containers.start(
            spot, view=self._view, volume=volume_of(spot), repl_factor=COPIES, options=self._options
        )

    async def ready(self) -> None:
        """Wait until each would serve, as a readiness probe asks."""

        async def all_ready() -> bool:
            replies = await at_once([self._http.ask(spot.published, "GET", "/readyz") for spot in self.spots])
            return {reply.status for reply in replies} == {200}

        await eventually(all_ready, "all nodes being ready")

    async def alike(self) -> None:
        await self._containers.alike(*self.spots)

    async def move(self, name: str, ip: str) -> None:
        """Replace the container of that name, as a rolling update does."""
        await docker("stop", name)
        assert (await inspect(name))["State"]["ExitCode"] == 0
        await self._containers.remove(*(spot for spot in self.spots if spot.name == name))
        self.spots = [spot._replace(ip=ip) if spot.name == name else spot for spot in self.spots]
        await self.start(*(spot for spot in self.spots if spot.name == name))

    async def move_all(self) -> None:
        """Kill and replace them all, each on the IP of the next one."""
        await self._containers.remove(*self.spots)
        ips = rotated(spot.ip for spot in self.spots)
        self.spots = [spot._replace(ip=ip) for spot, ip in zip(self.spots, ips, strict=True)]
        await self.start(*self.spots)


def rotated(ips: Iterable[str]) -> list[str]:
    first, *rest = ips
    return [*rest, first]


def volume_of(spot: Spot) -> str:
    return f"kvs_tests_{spot.name}"


@pytest.fixture
async def pods(containers: Containers, http: Client) -> Pods:
    """Found by docker's name server, which is never wrong."""
    started = Pods(containers, http, named(SPOTS), ())
    await started.open()
    return started


async def expect_no_failure(clients: Clients) -> None:
    await clients.check_all()
    assert clients.failures == [], (clients.failures[:3], clients.retries)


async def test_names_of_nodes_that_are_replaced_one_after_the_other_lead_on_without_a_failed_request(
    pods: Pods, http: Client
) -> None:
    clients = Clients(http, pods.spots)
    await clients.fill()
    free = SPARE_IP
    async with clients.running():
        for spot in [spot for _ in range(ROUNDS) for spot in SPOTS]:
            (before,) = (now.ip for now in pods.spots if now.name == spot.name)
            await pods.move(spot.name, free)
            free = before
            await pods.ready()
            await pods.alike()
            await clients.goes_on(RATE_PER_S)
    assert sum(clients.retries.values()) > 0, "nobody noticed anything"
    await expect_no_failure(clients)


@pytest.fixture
async def names(containers: Containers) -> AsyncIterator[Names]:
    """On this machine, as containers reach it."""
    server = Names(SUBNET.replace(".0/16", ".1"))
    try:
        await server.listen()
    except OSError as error:
        pytest.skip(f"a name server of one's own takes root, and a docker daemon on this machine: {error}")
    yield server
    server.close()


@pytest.fixture
async def told_pods(containers: Containers, names: Names, http: Client, tmp_path: Path) -> Pods:
    """Found by `names`, and by nothing else."""
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {names.ip}\n")
    spots = [spot._replace(host=f"{spot.name}.{DOMAIN}") for spot in SPOTS]
    names.addresses.update({spot.name: spot.ip for spot in spots})
    started = Pods(containers, http, spots, ("--volume", f"{resolver}:/etc/resolv.conf:ro"))
    await started.open()
    return started


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
async def test_names_of_nodes_that_are_replaced_all_at_once_lead_on_without_a_failed_request(
    told_pods: Pods, names: Names, http: Client, late: bool
) -> None:
    """The second attempt waits for nodes that are ready, as a balancer does. `late`: for a while, each name leads to
    another node; all are cut off from each other then, and what they tell may be old."""
    pods, clients = told_pods, Clients(http, told_pods.spots)
    await clients.fill()
    async with clients.running():
        for _ in range(ROUNDS):
            clients.store_is_there.clear()
            if late:
                clients.checks_reads = False
                await pods.move_all()
                await clients.goes_on(RATE_PER_S)
            names.addresses.update(zip(names.addresses, rotated(names.addresses.values()), strict=True))
            if not late:
                await pods.move_all()
            await pods.ready()
            clients.store_is_there.set()
            await pods.alike()
            clients.checks_reads = True
            await clients.goes_on(RATE_PER_S)
    assert sum(clients.retries.values()) > 0, "nobody noticed anything"
    await expect_no_failure(clients)


async def test_names_that_lead_to_the_wrong_place_for_seconds_cost_no_request(
    told_pods: Pods, names: Names, http: Client
) -> None:
    """One after the other is replaced, and the name server says of each something else that is wrong."""
    pods, clients = told_pods, Clients(http, told_pods.spots)
    await clients.fill()
    free = SPARE_IP
    async with clients.running():
        for place, how in enumerate(LIES):
            before, another = pods.spots[place], pods.spots[(place + 1) % len(SPOTS)]
            lie(names, before.name, how, another.ip)
            await pods.move(before.name, free)
            await clients.goes_on(2 * RATE_PER_S)
            names.addresses[before.name], free = free, before.ip
            names.silent.discard(before.name)
            await pods.ready()
            await pods.alike()
            await clients.goes_on(RATE_PER_S)
    await expect_no_failure(clients)


def lie(names: Names, name: str, how: str, another_ip: str) -> None:
    """Until it is told otherwise."""
    if how == "another's":
        names.addresses[name] = another_ip
    elif how == "unknown":
        del names.addresses[name]
    elif how == "silent":
        names.silent.add(name)
