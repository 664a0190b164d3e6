"""Clients that write and read while a test does something to the nodes, and judge every answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp

from gossip.view import Address
from tests.cluster import Client, eventually

WRITERS = 4


class Load:
    """Each key has one writer, which counts it up. So a read must return at least the last number acknowledged
    before the read began, and at most the last one sent before it ended."""

    def __init__(self, http: Client, nodes: Iterable[Address], keys: int, seed: int = 1) -> None:
        self.http = http
        self.nodes = tuple(nodes)
        self.keys = [f"key{number}" for number in range(keys)]
        self.acknowledged: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.failed: list[str] = []
        """Requests without an answer, or with another one than a read or write may have while all is well."""
        self.wrong: list[str] = []
        """Reads that broke the promise."""
        self.done = 0
        self._seed = seed

    async def fill(self) -> None:
        """Write each key. A disk that stands still for a second, as that of a busy machine may, refuses some at first:
        what is judged comes later."""
        lanes = [self.keys[start::64] for start in range(64)]
        rng = random.Random(self._seed)

        async def write_all(keys: list[str]) -> None:
            for key in keys:
                await eventually(partial(self._is_filled, rng.choice(self.nodes), key), f"{key} written")

        await asyncio.gather(*map(write_all, lanes))

    async def _is_filled(self, node: Address, key: str) -> bool:
        reply = await self.http.put(node, key, 1)
        assert reply.status in (200, 201, 503), reply.body
        if reply.status == 503:
            return False
        self.sent[key] = self.acknowledged[key] = 1
        self.done += 1
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and read as long as the block runs."""
        async with asyncio.TaskGroup() as tasks:
            clients = [
                tasks.create_task(self._work(random.Random(f"{self._seed}/{number}"), self.keys[number::WRITERS]))
                for number in range(WRITERS)
            ]
            try:
                yield
            finally:
                for client in clients:
                    client.cancel()

    async def goes_on(self, requests: int) -> None:
        """Wait until so many more requests are done."""
        goal = self.done + requests

        async def reached() -> bool:
            return self.done >= goal

        await eventually(reached, f"{requests} more requests")

    async def check_all(self, nodes: Iterable[Address] | None = None) -> None:
        """Read every key through every one of `nodes`."""
        failed = len(self.failed)
        for node in self.nodes if nodes is None else nodes:
            lanes = [self.keys[start::16] for start in range(16)]
            await asyncio.gather(*(self._read_all(node, keys) for keys in lanes))
        assert self.failed[failed:] == []
        assert self.wrong == []

    async def _read_all(self, node: Address, keys: list[str]) -> None:
        for key in keys:
            await self._read(node, key)

    async def _work(self, rng: random.Random, keys: list[str]) -> None:
        while True:
            await self._write(rng.choice(self.nodes), rng.choice(keys))
            await self._read(rng.choice(self.nodes), rng.choice(self.keys))

    async def _write(self, node: Address, key: str) -> None:
        value = self.sent[key] = self.sent.get(key, 0) + 1
        try:
            reply = await self.http.put(node, key, value)
        except (aiohttp.ClientError, OSError) as error:
            self.failed.append(f"PUT {key} through {node}: {error!r}")
        else:
            expected = 200 if key in self.acknowledged else 201
            if reply.status in (200, 201):
                self.acknowledged[key] = value
            if reply.status != expected:
                self.failed.append(f"PUT {key} through {node}: {reply.status} {reply.body!r}")
        self.done += 1

    async def _read(self, node: Address, key: str) -> None:
        least = self.acknowledged.get(key, 0)
        try:
            reply = await self.http.get(node, key)
        except (aiohttp.ClientError, OSError) as error:
            self.failed.append(f"GET {key} through {node}: {error!r}")
        else:
            if reply.status not in (200, 404):
                self.failed.append(f"GET {key} through {node}: {reply.status} {reply.body!r}")
            else:
                value = reply.json.get("value", 0)
                if not least <= value <= self.sent.get(key, 0):
                    self.wrong.append(
                        f"{key} through {node}: {value}, not {least} to {self.sent.get(key, 0)}: {reply.body!r}"
                    )
        self.done += 1
