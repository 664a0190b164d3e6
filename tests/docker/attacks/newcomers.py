"""Clients that come anew, each on a connection of its own, one after the other: are they let in beside an intruder?

Those of `tests.docker.clients` keep their connections. A newcomer asks one node, and if that does not answer in time,
another one, as they do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.cluster import client
from tests.docker.attacks.intruder.wire import CANARY
from tests.docker.containers import SPOTS
from tests.locks import Way

EVERY_S = 0.5
PATIENCE_S = 2.0


class Newcomers:
    def __init__(self, way: Way) -> None:
        self._way = way
        self.took_s: list[float] = []
        """Each, from its first connection to its answer."""
        self.turned_away = 0
        """How many got no answer from two nodes."""

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._come())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def _come(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            began = now()
            nodes = random.sample(SPOTS, 2)
            if await self._is_served(nodes[0].published) or await self._is_served(nodes[1].published):
                self.took_s.append(now() - began)
            else:
                self.turned_away += 1
            await asyncio.sleep(EVERY_S)

    async def _is_served(self, node: str) -> bool:
        async with client(PATIENCE_S, self._way) as http:
            try:
                return (await http.get(node, CANARY)).status == 200
            except (aiohttp.ClientError, OSError, TimeoutError):
                return False
