"""What is done to the containers of a store at work, one after the other, and what its clients see of it.

The tests go through each kind of harm once; `make chaos` (`python -m tests.docker`) goes on for as long as is asked.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from tests.cluster import Client
from tests.contenders import Contenders, Violation
from tests.docker.clients import RATE_PER_S, Clients
from tests.docker.containers import NETWORK, Containers, Spot, docker, inspect
from tests.docker.disks import SmallDisks

REST = 2 * RATE_PER_S
"""Operations from the return of one node to the harm of the next."""
THINK_S = 0.2
"""At most, between two operations of one of those that contend for the same keys."""
EVERY_S, AWAY_S = 6.0, 2.0
"""From one kill to the next where it goes on by turns, and from each kill to the start."""


class Scene(NamedTuple):
    http: Client
    containers: Containers
    clients: Clients
    spots: Sequence[Spot]
    copies: int
    disks: SmallDisks


Harm = Callable[[Scene, Spot], Awaitable[None]]
"""Does it to one node, and undoes it."""


async def kill(scene: Scene, spot: Spot) -> None:
    await docker("kill", spot.name)
    await scene.clients.goes_on(3 * RATE_PER_S)
    await docker("start", spot.name)


async def stop(scene: Scene, spot: Spot) -> None:
    await docker("stop", spot.name)
    assert (await inspect(spot.name))["State"]["ExitCode"] == 0, f"{spot.name} did not end by itself"
    await scene.clients.goes_on(RATE_PER_S)
    await docker("start", spot.name)


def pause(seconds: float) -> Harm:
    async def harm(scene: Scene, spot: Spot) -> None:
        await docker("pause", spot.name)
        await asyncio.sleep(seconds)
        await docker("unpause", spot.name)

    return harm


async def cut(scene: Scene, spot: Spot) -> None:
    scene.clients.checks_reads = False
    await docker("network", "disconnect", NETWORK, spot.name)
    await scene.clients.goes_on(2 * RATE_PER_S)
    await docker("network", "connect", "--ip", spot.ip, NETWORK, spot.name)


async def empty(scene: Scene, spot: Spot) -> None:
    await scene.containers.remove(spot)
    await scene.clients.goes_on(RATE_PER_S)
    await scene.containers.start(spot, view=scene.spots, repl_factor=scene.copies)


async def move(scene: Scene, spot: Spot) -> None:
    """It comes back with another IP, under its name; the next time with the one before."""
    ip = (await inspect(spot.name))["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    await docker("kill", spot.name)
    await docker("network", "disconnect", NETWORK, spot.name)
    await scene.clients.goes_on(RATE_PER_S)
    other_ip = spot.ip if ip != spot.ip else spot.ip.replace("10.10.0.", "10.10.1.")
    await docker("network", "connect", "--ip", other_ip, NETWORK, spot.name)
    await docker("start", spot.name)


async def fill(scene: Scene, spot: Spot) -> None:
    scene.disks.fill(spot)
    await scene.clients.goes_on(5 * RATE_PER_S)
    scene.disks.make_room(spot)


async def hang(scene: Scene, spot: Spot) -> None:
    await scene.containers.disk_becomes(spot, "hang")
    await scene.clients.goes_on(3 * RATE_PER_S)
    await scene.containers.disk_becomes(spot, "well")


KINDS: dict[str, list[Harm]] = {
    "kill": [kill],
    "stop": [stop],
    "pause": [pause(0.3), pause(0.6), pause(1.2), pause(5.0)],
    "cut": [cut],
    "empty": [empty],
    "move": [move],
    "full": [fill],
    "hang": [hang],
}
SICK = ("full", "hang")
"""On disks that can be filled, and made to hang."""


async def kill_by_turns(spots: Sequence[Spot]) -> None:
    """Kill one of them after the other, and start it again a little later, until cancelled."""
    for spot in cycle(spots):
        await docker("kill", spot.name)
        await asyncio.sleep(AWAY_S)
        await docker("start", spot.name)
        await asyncio.sleep(EVERY_S - AWAY_S)


def named(spots: Sequence[Spot]) -> list[Spot]:
    """Known to each other by their names, as docker's name server has them."""
    return [spot._replace(host=spot.name) for spot in spots]


class Outcome(NamedTuple):
    clients: Clients
    violations: Sequence[Violation]
    """Of those that contended for the same keys meanwhile; on two sides of a cut, they may."""
    harms: int
    alike_s: list[float]
    """From the return of each node until the copies of each shard were alike, under load; then without any."""


async def one_after_the_other(
    containers: Containers, http: Client, kind: str, spots: Sequence[Spot], copies: int, seconds: float = 0
) -> Outcome:
    """Harm each node once, and on for so long, each time waiting until it has caught up; then look at every key. For
    "move", they must be `named`."""
    with tempfile.TemporaryDirectory(prefix="kvs-chaos-", ignore_cleanup_errors=True) as directory:
        disks = SmallDisks(Path(directory))
        try:
            if kind in SICK:
                assert await disks.mount(spots) or kind != "full", "no disk can be filled: nothing may be mounted here"
                await containers.start_sick(*spots, view=spots, disks=disks.directory, repl_factor=copies)
            else:
                await containers.start(*spots, view=spots, repl_factor=copies)
            await containers.serving(*spots)
            clients = Clients(http, spots)
            return await _harm(kind, Scene(http, containers, clients, spots, copies, disks), seconds)
        finally:
            if kind in SICK:
                await containers.remove(*spots)
                await disks.unmount()


async def _harm(kind: str, scene: Scene, seconds: float) -> Outcome:
    containers, clients, spots = scene.containers, scene.clients, scene.spots
    now = asyncio.get_running_loop().time
    alike_s: list[float] = []

    async def until_alike() -> None:
        began = now()
        await containers.alike(*spots)
        alike_s.append(now() - began)

    async def recovers(spot: Spot) -> None:
        await containers.listening(spot)
        await until_alike()
        clients.checks_reads = True

    harms, violations = 0, list[Violation]()
    async with clients.running():
        await clients.goes_on(REST)
        end = now() + seconds
        while harms < len(spots) or now() < end:
            turn, place = divmod(harms, len(spots))
            nodes, way = [spot.published for spot in spots], scene.http.way
            contenders = Contenders(nodes, harms, THINK_S, f"{kind}{harms}-", way)
            async with contenders.running():
                await KINDS[kind][(turn + place) % len(KINDS[kind])](scene, spots[place])
                await asyncio.gather(recovers(spots[place]), clients.goes_on(REST))
            violations += [] if kind == "cut" else contenders.violations()
            harms += 1
    await until_alike()
    await clients.check_all()
    return Outcome(clients, violations, harms, alike_s)
