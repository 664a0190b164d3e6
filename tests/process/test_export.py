"""The store is exported while processes are killed and come back, and while keys move: each key once."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, fresh_addresses

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

KEYS = [f"key{number:04}" for number in range(400)]
LARGE = "x" * 4000
"""So that the values take several blocks of each node."""
PAUSE_S = 0.05
"""Between two exports."""


class Reader:
    """Exports all again and again. Where an export breaks off, it goes on through the next node after the last cursor
    that it took."""

    def __init__(self, http: aiohttp.ClientSession, nodes: list[Address]) -> None:
        self._http = http
        self._nodes = nodes
        self.exports = self.breaks = 0
        self.is_over = False

    async def run(self) -> None:
        while not self.is_over:
            await self.export()
            await asyncio.sleep(PAUSE_S)

    async def export(self) -> None:
        told: list[str] = []
        query = "?prefix=key"
        while (cursor := await self._read(query, told)) != "":
            query = query if cursor is None else f"?prefix=key&cursor={cursor}"
            self.breaks += 1
            await asyncio.sleep(0.1)
        assert sorted(told) == KEYS
        self.exports += 1

    async def _read(self, query: str, told: list[str]) -> str | None:
        """Add what is told before the last cursor, and return that; None if there was none, empty at the end."""
        node = self._nodes[(self.exports + self.breaks) % len(self._nodes)]
        block: list[str] = []
        cursor: str | None = None
        try:
            async with self._http.get(f"http://{node}/kvs/export{query}") as reply:
                if reply.status != 200:
                    assert reply.status == 503, await reply.read()
                    return None
                async for raw in reply.content:
                    line = json.loads(raw)
                    if "key" in line:
                        block.append(line["key"])
                    elif "cursor" in line:
                        cursor = line["cursor"]
                        told += block
                        block = []
                    else:
                        return "" if "end" in line else cursor
        except (aiohttp.ClientError, OSError, ValueError):
            pass  # Whoever was asked has died, in the midst of a line perhaps.
        return cursor


async def test_process_export_while_nodes_die_and_keys_move(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR="2")
    for number, key in enumerate(KEYS):
        assert (await http.put(nodes[number % 4], key, LARGE)).status == 201
    async with aiohttp.ClientSession() as session:
        through_all, through_one = Reader(session, nodes), Reader(session, nodes[:1])
        readers = [asyncio.create_task(reader.run()) for reader in (through_all, through_one)]
        for victim in nodes[1:]:
            await processes[victim].kill()
            await asyncio.sleep(1.0)
            before = through_one.exports
            async with asyncio.timeout(30.0):
                while through_one.exports < before + 2:  # Of each key there is another copy.
                    await asyncio.sleep(0.01)
            await processes[victim].start()
            await processes.in_touch(nodes)
        for members in (nodes[:2], nodes, [nodes[0], nodes[3]], nodes):
            assert (await http.change_view(nodes[0], members, repl_factor=2)).status == 200
        through_all.is_over = through_one.is_over = True
        await asyncio.gather(*readers)
        assert through_all.exports > 5 and through_one.exports > 5 and through_all.breaks
