"""Keys are listed while processes are killed and come back, and while keys move: each key once, or not at all."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, fresh_addresses

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

KEYS = [f"key{number:04}" for number in range(400)]
PAUSE_S = 0.02
"""Between two listings."""


class Reader:
    """Lists all keys again and again, page by page, each through the next node."""

    def __init__(self, http: Client, nodes: list[Address]) -> None:
        self._http = http
        self._nodes = nodes
        self.listings = self.refusals = 0
        self.is_over = False

    async def run(self) -> None:
        while not self.is_over:
            found = await self.list()
            if found is None:
                self.refusals += 1
                await asyncio.sleep(0.1)
            else:
                assert found == KEYS
                self.listings += 1
                await asyncio.sleep(PAUSE_S)

    async def list(self) -> list[str] | None:
        """None: some node could not answer, or some could not be asked."""
        found: list[str] = []
        end: str | None = ""
        while end is not None:
            node = self._nodes[len(found) % len(self._nodes)]
            try:
                reply = await self._http.ask(node, "GET", f"/kvs/keys?prefix=key&limit=150&after={end}")
            except (aiohttp.ClientError, OSError):
                return None
            if reply.status != 200:
                assert reply.status == 503, reply.body
                return None
            found, end = found + reply.json["keys"], reply.json["next"]
        return found


async def test_process_listing_while_nodes_die_and_keys_move(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR="2")
    for number, key in enumerate(KEYS):
        assert (await http.put(nodes[number % 4], key, number)).status == 201
    through_all, through_one = Reader(http, nodes), Reader(http, nodes[:1])
    readers = [asyncio.create_task(reader.run()) for reader in (through_all, through_one)]
    for victim in nodes[1:]:
        await processes[victim].kill()
        await asyncio.sleep(1.0)
        assert await through_one.list() == KEYS, "of each key there is another copy"
        await processes[victim].start()
        await processes.in_touch(nodes)
    for members in (nodes[:2], nodes, [nodes[0], nodes[3]], nodes):
        assert (await http.change_view(nodes[0], members, repl_factor=2)).status == 200
    through_all.is_over = through_one.is_over = True
    await asyncio.gather(*readers)
    assert through_all.listings > 10 and through_one.listings > 10
    assert await through_all.list() == KEYS
