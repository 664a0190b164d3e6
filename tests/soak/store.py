"""A store in containers that goes through one trouble after the other while clients contend for its keys, and what they
were told is judged.

One trouble at a time: the next begins once all copies are alike. A trouble that cuts nobody off leaves every history
linearizable; a cut leaves copies that are alike afterwards.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cluster import Client
from tests.commands import run
from tests.contenders import Contenders
from tests.docker.containers import NETWORK, SPOTS, Containers, Spot, docker
from tests.docker.disks import SmallDisks
from tests.linearizability import dump

THINK_S = 0.02
BEFORE, AFTER = 200, 200
"""Operations before a trouble begins and after it has ended."""


class Found(NamedTuple):
    """What is wrong, and the file that tells of it."""

    what: str
    file: Path


class Store:
    """`directory`: for its disks, and for the histories that are not as they should be."""

    def __init__(self, http: Client, containers: Containers, directory: Path, copies: int, seed: int) -> None:
        self.seen: Counter[str] = Counter()
        """Troubles, and operations by what came of them."""
        self.found: list[Found] = []
        self._http = http
        self._containers = containers
        self._directory = directory
        self._disks = SmallDisks(directory)
        self._copies = copies
        self._rng = random.Random(seed)
        self._rounds = 0
        self._troubles: list[Callable[[Spot], Awaitable[None]]] = [
            self._kill,
            self._pause,
            self._stop,
            self._cut,
            self._change,
            self._hang,
            self._fill,
            self._empty,
        ]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        try:
            if not await self._disks.mount(SPOTS):
                self._troubles = [trouble for trouble in self._troubles if trouble != self._fill]
            await self._containers.open()
            await self._start(*SPOTS)
            await self._containers.serving(*SPOTS)
            yield
        finally:
            for spot in SPOTS:
                await run("docker", "rm", "--force", spot.name)
            await self._disks.unmount()

    async def go_through(self, until: float) -> None:
        """One trouble after the other, each on some node; at least one, and as many as end by then (loop's time)."""
        loop = asyncio.get_running_loop()
        while not self._rounds or loop.time() < until:
            await self._one(self._troubles[self._rounds % len(self._troubles)], self._rng.choice(SPOTS))
            self._rounds += 1

    async def _one(self, trouble: Callable[[Spot], Awaitable[None]], spot: Spot) -> None:
        name = trouble.__name__.strip("_")
        nodes = [spot.published for spot in SPOTS]
        seed, way = self._rng.randrange(1 << 30), self._http.way
        contenders = Contenders(nodes, seed, THINK_S, f"{name}{self._rounds}-", way)
        async with contenders.running():
            await contenders.go_on(BEFORE)
            await trouble(spot)
            await self._containers.listening(*SPOTS)
            async with contenders.at_rest():
                await self._containers.alike(*SPOTS)
                await self._containers.serving(*SPOTS)
                await self._read_alike(contenders.keys)
            if trouble != self._cut:
                await contenders.go_on(AFTER)
        self.seen += contenders.seen + Counter({f"trouble: {name}": 1})
        if trouble != self._cut:
            for violation in contenders.violations():
                file = self._directory / f"{violation.key}.json"
                file.write_text(dump(violation.history))
                self.found.append(Found(f"{name} of {spot.name}: {violation}", file))

    async def _read_alike(self, keys: list[str]) -> None:
        """Every key reads the same through every node, or it is among what was found."""
        for key in keys:
            replies = [await self._http.get(spot.published, key) for spot in SPOTS]
            values = {(reply.status, reply.json.get("value")) for reply in replies}
            if len(values) > 1:
                file = self._directory / f"{key}.json"
                file.write_text(repr(values))
                self.found.append(Found(f"{key} reads {values}", file))

    async def _start(self, *spots: Spot) -> None:
        await self._containers.start_sick(*spots, view=SPOTS, disks=self._directory, repl_factor=self._copies)

    # Troubles

    async def _kill(self, spot: Spot) -> None:
        await docker("kill", spot.name)
        await asyncio.sleep(self._rng.uniform(0, 2))
        await docker("start", spot.name)

    async def _pause(self, spot: Spot) -> None:
        await docker("pause", spot.name)
        await asyncio.sleep(self._rng.uniform(0.3, 2.5))
        await docker("unpause", spot.name)

    async def _stop(self, spot: Spot) -> None:
        await docker("stop", spot.name)
        await docker("start", spot.name)

    async def _cut(self, spot: Spot) -> None:
        await docker("network", "disconnect", NETWORK, spot.name)
        await asyncio.sleep(self._rng.uniform(0.5, 5))
        await docker("network", "connect", "--ip", spot.ip, NETWORK, spot.name)

    async def _change(self, spot: Spot) -> None:
        others = [other for other in SPOTS if other != spot]
        for members in (others, SPOTS):
            reply = await self._http.change_view(others[0].published, [member.address for member in members])
            assert reply.status == 200, f"a view change was answered {reply.status}: {reply.body!r}"

    async def _hang(self, spot: Spot) -> None:
        await self._containers.disk_becomes(spot, "hang")
        await asyncio.sleep(self._rng.uniform(0.5, 4))
        await self._containers.disk_becomes(spot, "well")

    async def _fill(self, spot: Spot) -> None:
        self._disks.fill(spot)
        await asyncio.sleep(self._rng.uniform(0.5, 4))
        self._disks.make_room(spot)

    async def _empty(self, spot: Spot) -> None:
        await self._containers.remove(spot)
        self._disks.empty(spot)
        await self._start(spot)
