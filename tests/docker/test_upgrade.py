"""A store at work becomes one of the next release, node by node, and goes back: no request fails but for one retry, and
nothing is lost. The release before is built from its commit."""

from __future__ import annotations

import subprocess
from asyncio import gather, to_thread
from collections.abc import AsyncIterator

import pytest

from tests.cluster import ROOT, Client, eventually
from tests.commands import run
from tests.compat.releases import RELEASES
from tests.docker.clients import Clients
from tests.docker.containers import IMAGE, LABEL, SPOTS, Containers, Spot, docker, expect_content

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(900)]

BEFORE = RELEASES["protocol-1"]
IMAGE_BEFORE = f"{IMAGE.partition(':')[0]}:{BEFORE.name}"
BUILD_S = 600.0
OPERATIONS_BETWEEN = 400
"""Two seconds, from one node to the next."""
AMISS = ("garbage", "turned away", "Traceback")
"""In no log: nodes of both releases understand each other."""


@pytest.fixture
async def before(bare_engine: None) -> str:
    """The image of the release before. It is kept for the next run."""
    archive = ["git", "archive", BEFORE.commit]
    archived = await to_thread(subprocess.run, archive, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    build = ["docker", "build", "--quiet", "--tag", IMAGE_BEFORE, "-"]
    await to_thread(subprocess.run, build, input=archived.stdout, check=True, timeout=BUILD_S)
    return IMAGE_BEFORE


@pytest.fixture
async def volumes(bare_engine: None) -> AsyncIterator[dict[Spot, str]]:
    """One for each node, which outlives its containers."""
    names = {spot: f"{LABEL}-{spot.name}" for spot in SPOTS}
    for name in names.values():
        await docker("volume", "create", "--label", LABEL, name)
    yield names


async def test_upgrade_node_by_node_and_back_loses_nothing_and_fails_nobody(
    before: str, volumes: dict[Spot, str], containers: Containers, http: Client
) -> None:
    async def start(spot: Spot, image: str) -> None:
        await containers.start(spot, view=SPOTS, volume=volumes[spot], repl_factor=2, image=image)

    await gather(*(start(spot, before) for spot in SPOTS))
    content = await containers.load(*SPOTS, name="loaded")
    clients = Clients(http, SPOTS)
    await clients.fill()
    releases = [await releases_of(http)]
    async with clients.running():
        for image in (IMAGE, before):
            for spot in SPOTS:
                await clients.goes_on(OPERATIONS_BETWEEN)
                await end(spot)
                await containers.remove(spot)
                await start(spot, image)
                await well(http, spot)
            await clients.goes_on(OPERATIONS_BETWEEN)
            releases.append(await releases_of(http))
    await clients.check_all()
    assert clients.failures == [], clients.failures[:3]
    await expect_content(http, content, *SPOTS)
    await containers.alike(*SPOTS)
    assert [len(each) for each in releases] == [1, 1, 1]
    assert releases[0] == releases[2] != releases[1]
    for spot in SPOTS:
        await end(spot)


async def releases_of(http: Client) -> set[str]:
    """As the nodes tell."""
    return {(await http.ask(spot.published, "GET", "/kvs/node")).json["release"] for spot in SPOTS}


async def well(http: Client, spot: Spot) -> None:
    """Wait until nothing is wrong any more, as that node tells: the next one may be stopped."""

    async def is_well() -> bool:
        reply = await http.ask(spot.published, "GET", "/kvs/status")
        return reply.status == 200 and reply.json["problems"] == []

    await eventually(is_well, f"{spot.name} telling of no problem")


async def end(spot: Spot) -> None:
    """As an operator does, and see that nothing was amiss."""
    await docker("stop", "--time", "20", spot.name)
    assert (await docker("inspect", "--format", "{{.State.ExitCode}}", spot.name)).strip() == "0"
    done = await run("docker", "logs", spot.name)
    lines = [*done.out.splitlines(), *done.errors]
    assert [line for line in lines if any(word in line for word in AMISS)] == []
