"""Clients of a replicated store under chaos: what they were promised, and whether it was kept.

Each operation goes to a random node; one that gets no answer within 2 s, or a 5xx, is repeated once on another node. A
key is written by one client at a time, with a value that nobody else writes. A write that failed for good may have
happened; so a read may return what was last acknowledged when it began, or anything tried since.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp

from tests.cluster import Client, Reply
from tests.docker.containers import Spot, at_once

PATIENCE_S = 2.0
EVERY_S = 0.005
"""Between two operations: 200 in a second."""


class Failure(NamedTuple):
    what: str
    key: str
    seen: object


class Clients:
    def __init__(self, http: Client, spots: Sequence[Spot], keys: int = 200) -> None:
        self._http = http
        self._spots = spots
        self._rng = random.Random(1)
        self._possible: dict[str, set[int | None]] = {f"key{number}": {None} for number in range(keys)}
        self._tried: dict[str, list[int]] = {key: [] for key in self._possible}
        self._busy: set[str] = set()
        self.operations = 0
        self.failures: list[Failure] = []
        self.checks_reads = True
        """Whether a read has to return what was acknowledged: not while the network is cut."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        load = asyncio.create_task(self._run(stop))
        try:
            yield
        finally:
            stop.set()
            await load

    async def goes_on(self, operations: int) -> None:
        """Wait until so many more have begun."""
        end = self.operations + operations
        while self.operations < end:
            await asyncio.sleep(EVERY_S)

    async def check_all(self) -> None:
        """Every key reads the same, and right, through every node."""
        for key, possible in self._possible.items():
            replies = await at_once([self._http.get(spot.published, key) for spot in self._spots])
            values = {reply.json.get("value") for reply in replies}
            assert len(values) == 1 and values <= possible, f"{key}: {values}, of {possible}"

    async def _run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self.operations += 1
                key = self._rng.choice(list(self._possible))
                if self._rng.random() < 0.5:
                    tasks.create_task(self._read(key))
                elif key not in self._busy:
                    tasks.create_task(self._write(key, self.operations))
                await asyncio.sleep(EVERY_S)

    async def _read(self, key: str) -> None:
        before, tried, checked = set(self._possible[key]), len(self._tried[key]), self.checks_reads
        reply = await self._ask("GET", key)
        if reply is None:
            self.failures.append(Failure("read without an answer", key, None))
        elif checked and self.checks_reads:
            value = reply.json.get("value")
            if value not in before | set(self._tried[key][tried:]):
                self.failures.append(Failure("stale read", key, (value, before)))

    async def _write(self, key: str, value: int) -> None:
        self._busy.add(key)
        self._possible[key].add(value)
        self._tried[key].append(value)
        reply = await self._ask("PUT", key, b'{"value":%d}' % value)
        if reply is None:
            self.failures.append(Failure("write without an answer", key, value))
        else:
            self._possible[key] = {value}
        self._busy.discard(key)

    async def _ask(self, method: str, key: str, body: bytes | None = None) -> Reply | None:
        for spot in self._rng.sample(self._spots, 2):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    reply = await self._http.ask(spot.published, method, f"/kvs/keys/{key}", body)
            except (aiohttp.ClientError, OSError, TimeoutError):
                continue
            if reply.status < 500:
                return reply
        return None
