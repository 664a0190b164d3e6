"""View changes of a store at work, while one node after the other is killed and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.cluster import Client, Reply, client
from tests.docker.chaos import kill_by_turns
from tests.docker.clients import Clients
from tests.docker.containers import (
    NODE1,
    NODE2,
    NODE3,
    NODE4,
    PAIR,
    SPOTS,
    Containers,
    Spot,
    counts,
    docker,
    expect_content,
)

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(900)]

LOADED = 50_000
CHANGE_S = 240.0


async def changed(http: Client, view: Sequence[Spot]) -> Reply:
    """The answer to the change; asked for again as long as a node of the view happens to be away."""
    while True:
        reply = await http.change_view(NODE1.published, [spot.address for spot in view])
        if reply.status != 503:
            return reply
        await asyncio.sleep(0.5)


@pytest.fixture
async def patient() -> AsyncIterator[Client]:
    async with client(CHANGE_S) as asking:
        yield asking


async def test_kills_amid_growth_and_shrinking_lose_nothing_and_fail_nobody(
    containers: Containers, patient: Client
) -> None:
    http = patient
    await containers.start(*PAIR, view=PAIR, repl_factor=2)
    await containers.start(NODE3, NODE4, view=PAIR, repl_factor=2)
    content = await containers.load(*PAIR, keys=LOADED, name="bulk")
    clients = Clients(http, SPOTS)
    await clients.fill()
    async with clients.running():
        for view in (SPOTS, PAIR):
            killing = asyncio.create_task(kill_by_turns((NODE2, NODE3, NODE4)))
            try:
                async with asyncio.timeout(CHANGE_S):
                    reply = await changed(http, view)
            finally:
                killing.cancel()
            assert reply.status == 200, (len(view), reply.body)
            await asyncio.gather(*(docker("start", spot.name) for spot in SPOTS))
            await containers.listening(*SPOTS)
            await containers.alike(*view)
            await containers.settled(NODE1)
    await clients.check_all()
    assert clients.failures == [], clients.failures[:3]
    await expect_content(http, content, NODE1)
    assert set(await counts(http, *PAIR)) == {LOADED + 200}
