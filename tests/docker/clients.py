"""Clients of a replicated store under chaos: what they were promised, and whether it was kept.

Each operation goes to a random node; one that gets no answer within 2 s, or a 5xx, is repeated once on another node. A
key is written by one client at a time, with a value that nobody else writes. A write that failed for good may have
happened; so a read may return what was last acknowledged when it began, or anything tried since.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import aiohttp

from tests.cluster import Client, Reply, eventually
from tests.docker.containers import CONCURRENCY, Spot, at_once

PATIENCE_S = 2.0
RATE_PER_S = 200
DONE = {"GET": {200, 404}, "PUT": {200, 201}}


class Failure(NamedTuple):
    at: str
    """Wall-clock time, as in the nodes' logs."""
    what: str
    key: str
    seen: object


class Clients:
    def __init__(self, http: Client, spots: Sequence[Spot], keys: int = 200, rate_per_s: float = RATE_PER_S) -> None:
        self._http = http
        self._rate_per_s = rate_per_s
        self._spots = spots
        self._rng = random.Random(1)
        self._possible: dict[str, set[int | None]] = {f"key{number}": {None} for number in range(keys)}
        self._tried: dict[str, list[int]] = {key: [] for key in self._possible}
        self._busy: set[str] = set()
        self._twice: set[int] = set()
        """Values whose write was repeated: the first attempt may still be under way somewhere."""
        self.operations = 0
        self.retries: Counter[str] = Counter()
        """How often the first node did not do, by what it did instead."""
        self.latencies_s: list[float] = []
        """Of each operation, its retry included."""
        self.late_s_max = 0.0
        """How late an operation began: of a machine on which not even the clients run in time, the rest says little."""
        self.failures: list[Failure] = []
        self.checks_reads = True
        """Whether a read has to return what was acknowledged: not while the network is cut."""
        self.store_is_there = asyncio.Event()
        """Not while no node serves: the second attempt waits for it."""
        self.store_is_there.set()
        self._places = asyncio.Semaphore(CONCURRENCY)
        """For the second attempts that have waited: together they would be a flood."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        load = asyncio.create_task(self._run(stop))
        try:
            yield
        finally:
            stop.set()
            await load

    async def fill(self) -> None:
        """Write each key once."""
        await asyncio.gather(*(self._write(key, -number) for number, key in enumerate(self._possible)))
        assert not self.failures, self.failures[:3]

    async def goes_on(self, operations: int) -> None:
        """Wait until so many more have begun."""
        end = self.operations + operations
        while self.operations < end:
            await asyncio.sleep(1 / RATE_PER_S)

    async def check_all(self) -> None:
        """Every key has to read the same, and right, through every node. What does not is among the failures then."""
        for key, possible in self._possible.items():

            async def read(key: str = key) -> list[Reply]:
                replies = await at_once([self._http.get(spot.published, key) for spot in self._spots])
                return replies if {reply.status for reply in replies} <= DONE["GET"] else []

            values = {reply.json.get("value") for reply in await eventually(read, f"{key} read through every node")}
            if len(values) != 1 or not values <= possible:
                self._fail("lost write", key, f"{values}, of {possible}")

    async def _run(self, stop: asyncio.Event) -> None:
        """Operations begin at a steady rate, however long those before them take."""
        now = asyncio.get_running_loop().time
        due = now()
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self.operations += 1
                key = self._rng.choice(list(self._possible))
                if key in self._busy or self._rng.random() < 0.5:
                    tasks.create_task(self._read(key))
                else:
                    tasks.create_task(self._write(key, self.operations))
                due += 1 / self._rate_per_s
                await asyncio.sleep(due - now())
                self.late_s_max = max(self.late_s_max, now() - due)

    async def _read(self, key: str) -> None:
        before, tried, checked = set(self._possible[key]), len(self._tried[key]), self.checks_reads
        reply = await self._ask("GET", key)
        if reply is None:
            self._fail("read without an answer", key)
        elif checked and self.checks_reads:
            value = reply.json.get("value")
            if value not in before | set(self._tried[key][tried:]):
                attempts = "written at the second attempt" if value in self._twice else "written at once"
                self._fail("stale read", key, f"{value} ({attempts}), not {before}")

    async def _write(self, key: str, value: int) -> None:
        self._busy.add(key)
        self._possible[key].add(value)
        self._tried[key].append(value)
        reply = await self._ask("PUT", key, value)
        if reply is None:
            self._fail("write without an answer", key, value)
        else:
            self._possible[key] = {value}
        self._busy.discard(key)

    async def _ask(self, method: str, key: str, value: int | None = None) -> Reply | None:
        """The answer of one node, or else of another one; or else None."""
        now = asyncio.get_running_loop().time
        began = now()
        body = None if value is None else b'{"value":%d}' % value
        first, second = self._rng.sample(self._spots, 2)
        reply = await self._ask_one(first, method, key, body)
        if isinstance(reply, str):
            self.retries[reply] += 1
            if value is not None:
                self._twice.add(value)
            reply = await self._ask_again(second, method, key, body)
        self.latencies_s.append(now() - began)
        return None if isinstance(reply, str) else reply

    async def _ask_again(self, spot: Spot, method: str, key: str, body: bytes | None) -> Reply | str:
        if self.store_is_there.is_set():
            return await self._ask_one(spot, method, key, body)
        await self.store_is_there.wait()
        async with self._places:
            return await self._ask_one(spot, method, key, body)

    async def _ask_one(self, spot: Spot, method: str, key: str, body: bytes | None) -> Reply | str:
        """Its answer, or what is wrong with it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                reply = await self._http.ask(spot.published, method, f"/kvs/keys/{key}", body)
        except TimeoutError:
            return "silent"
        except (aiohttp.ClientError, OSError):
            return "no connection"
        return reply if reply.status in DONE[method] else str(reply.status)

    def _fail(self, what: str, key: str, seen: object = None) -> None:
        self.failures.append(Failure(f"{datetime.now():%H:%M:%S.%f}"[:-3], what, key, seen))
