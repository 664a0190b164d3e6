"""Conditional writes while processes are killed and come back, and while keys move: a counter that counts right, and a
lock that one client has at a time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence

import aiohttp
import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, Reply, fresh_addresses

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

CLIENTS = 10
COUNTER, LOCK = "counter", "lock"


class User:
    """Changes one key by conditional writes, each time through any node."""

    def __init__(self, http: Client, nodes: Sequence[Address], name: str) -> None:
        self._http = http
        self._nodes = nodes
        self._name = name
        self.counted: list[int] = []
        """What it was told that it has made of the counter."""
        self.unknown = 0
        """How often it could not be told whether it has counted."""
        self.held = 0
        """How often it had the lock."""

    async def count(self, times: int) -> None:
        while len(self.counted) < times:
            found = await self._ask("GET", COUNTER)
            if found is None or found.status != 200:
                continue
            number = found.json["value"] + 1
            reply = await self._ask("PUT", COUNTER, number, {"If-Match": found.headers["ETag"]})
            if reply is None or reply.status == 503:
                self.unknown += 1
            elif reply.status == 200:
                self.counted.append(number)
            else:
                assert reply.status == 412 and reply.headers["ETag"] != found.headers["ETag"]

    async def lock(self, times: int, inside: set[str]) -> None:
        """Of whom it cannot be told whether it has the lock, the name in it tells."""
        while self.held < times:
            reply = await self._ask("PUT", LOCK, self._name, {"If-None-Match": "*"})
            if reply is None or reply.status != 201:
                found = await self._ask("GET", LOCK)
                if found is None or found.status != 200 or found.json["value"] != self._name:
                    continue
                reply = found
            assert not inside, f"{self._name} is inside beside {inside}"
            inside.add(self._name)
            await asyncio.sleep(0.002)
            inside.remove(self._name)
            self.held += 1
            await self._unlock(reply.headers["ETag"])

    async def _unlock(self, tag: str) -> None:
        while True:
            reply = await self._ask("DELETE", LOCK, headers={"If-Match": tag})
            if reply is not None and reply.status in (200, 412):
                return  # If it is not its own any more, an attempt that got no answer has been made.

    async def _ask(
        self, method: str, key: str, value: object = None, headers: dict[str, str] | None = None
    ) -> Reply | None:
        """None: the node died."""
        body = json.dumps({"value": value}).encode() if method == "PUT" else None
        try:
            return await self._http.ask(random.choice(self._nodes), method, f"/kvs/keys/{key}", body, headers=headers)
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.02)
            return None


async def test_process_counter_counts_right_while_nodes_die_and_keys_move(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR="2")
    assert (await http.put(nodes[0], COUNTER, 0)).status == 201
    users = [User(http, nodes, f"user{number}") for number in range(CLIENTS)]
    counting = [asyncio.create_task(user.count(40)) for user in users]
    await disturb(processes, http, nodes)
    await asyncio.gather(*counting)
    counted = sorted(number for user in users for number in user.counted)
    assert len(set(counted)) == len(counted) == CLIENTS * 40, "two were told that they had made the same number"
    last = (await http.get(nodes[0], COUNTER)).json["value"]
    assert len(counted) <= last <= len(counted) + sum(user.unknown for user in users)


async def test_process_lock_is_held_by_one_at_a_time_while_nodes_die_and_keys_move(
    processes: Processes, http: Client
) -> None:
    nodes, inside = fresh_addresses(4), set[str]()
    await processes.start_all(nodes, REPL_FACTOR="2")
    users = [User(http, nodes, f"user{number}") for number in range(CLIENTS)]
    locking = [asyncio.create_task(user.lock(20, inside)) for user in users]
    await disturb(processes, http, nodes)
    await asyncio.gather(*locking)
    assert all(user.held == 20 for user in users)


async def disturb(processes: Processes, http: Client, nodes: Sequence[Address]) -> None:
    """Kill one node after the other, and change the view in between."""
    for victim, members in ((nodes[1], nodes[:2]), (nodes[0], nodes), (nodes[3], nodes[1:]), (nodes[2], nodes)):
        await processes[victim].kill()
        await asyncio.sleep(0.7)
        await processes[victim].start()
        await processes.in_touch(nodes)
        assert (await http.change_view(nodes[1], members, repl_factor=2)).status == 200
