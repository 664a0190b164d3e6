"""A shard of two outlives what is done to either: no request fails but for one retry, nothing is lost or stale."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.cluster import Client
from tests.docker.clients import Clients
from tests.docker.containers import NETWORK, SPOTS, Containers, Spot, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

Harm = Callable[[Containers, Clients, Spot], Awaitable[None]]
REST = 400
"""Operations from the return of one node to the harm of the next."""


async def kill(containers: Containers, clients: Clients, spot: Spot) -> None:
    await docker("kill", spot.name)
    await clients.goes_on(600)  # Three seconds.
    await docker("start", spot.name)


def pause(seconds: float) -> Harm:
    async def harm(containers: Containers, clients: Clients, spot: Spot) -> None:
        await docker("pause", spot.name)
        await asyncio.sleep(seconds)
        await docker("unpause", spot.name)

    return harm


async def cut(containers: Containers, clients: Clients, spot: Spot) -> None:
    clients.checks_reads = False
    await docker("network", "disconnect", NETWORK, spot.name)
    await clients.goes_on(400)
    await docker("network", "connect", "--ip", spot.ip, NETWORK, spot.name)
    await containers.alike(*SPOTS)
    clients.checks_reads = True


async def empty(containers: Containers, clients: Clients, spot: Spot) -> None:
    await containers.remove(spot)
    await clients.goes_on(200)
    await containers.start(spot, view=SPOTS, repl_factor=2)
    await containers.alike(*SPOTS)


@pytest.mark.parametrize(
    "harms",
    [[kill], [pause(0.3), pause(0.6), pause(1.2), pause(5.0)], [cut], [empty]],
    ids=["killed", "paused", "cut off", "emptied"],
)
async def test_replication_one_node_after_the_other(containers: Containers, http: Client, harms: list[Harm]) -> None:
    await containers.start(*SPOTS, view=SPOTS, repl_factor=2)
    await containers.serving(*SPOTS)
    clients = Clients(http, SPOTS)
    async with clients.running():
        await clients.goes_on(REST)
        for place, spot in enumerate(SPOTS):
            await harms[place % len(harms)](containers, clients, spot)
            await containers.listening(spot)
            await clients.goes_on(REST)
    assert clients.failures == []
    await containers.alike(*SPOTS)
    await clients.check_all()


@pytest.mark.parametrize(
    ("before", "after", "factors"),
    [(SPOTS, SPOTS, (None, 2, 1)), (SPOTS[:1], SPOTS, (None, 2)), (SPOTS[:2], SPOTS[2:], (2, 2))],
    ids=["copies come and go", "one becomes four", "two other nodes"],
)
async def test_replication_view_changes_keep_every_key(
    containers: Containers,
    http: Client,
    before: tuple[Spot, ...],
    after: tuple[Spot, ...],
    factors: tuple[int | None, ...],
) -> None:
    """Sent to a node that leaves, where one does."""
    await containers.start(*before, view=before, repl_factor=factors[0])
    await containers.start(*(spot for spot in after if spot not in before), view=before, repl_factor=factors[0])
    await containers.serving(*before)
    content = {f"key{number}": number for number in range(1000)}
    for key, value in content.items():
        assert (await http.put(before[value % len(before)].published, key, value)).status == 201
    for factor in factors[1:]:
        reply = await http.change_view(before[0].published, [spot.address for spot in after], repl_factor=factor)
        assert reply.status == 200, reply.body
        assert sum(shard["key-count"] for shard in reply.json["shards"]) == len(content)
        assert {len(shard["replicas"]) for shard in reply.json["shards"]} == {factor}
        for spot in {*before, *after}:
            assert {key: (await http.get(spot.published, key)).json["value"] for key in content} == content
        await containers.alike(*after)
