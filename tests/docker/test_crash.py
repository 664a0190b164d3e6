"""Each container in turn killed, stopped, restarted under a write load: what was acknowledged is there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from itertools import count

import aiohttp
import pytest

from tests.cluster import Client, eventually
from tests.docker.containers import TRIO, Containers, Spot, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

KEYS_PER_WRITER = 10


class Writer:
    """Writes rising numbers to keys of its own, one at a time, through one node; remembers what was acknowledged."""

    def __init__(self, http: Client, number: int, via: Spot) -> None:
        self._http = http
        self._via = via
        self.keys = [f"w{number}k{key}" for key in range(KEYS_PER_WRITER)]
        self.acknowledged: dict[str, int] = {}
        self.attempted: dict[str, int] = {}
        self.statuses: Counter[int] = Counter()

    async def run(self) -> None:
        for number in count():
            key = self.keys[number % KEYS_PER_WRITER]
            self.attempted[key] = number
            try:
                reply = await self._http.put(self._via.published, key, number)
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.05)  # Nobody listens there: leave the processor to those who start.
                continue
            self.statuses[reply.status] += 1
            if reply.status in (200, 201):
                self.acknowledged[key] = number

    async def lost(self, through: Spot) -> dict[str, object]:
        """Keys that read as something older than what was acknowledged, or as what nobody wrote."""
        lost: dict[str, object] = {}
        for key, number in self.acknowledged.items():
            reply = await self._http.get(through.published, key)
            value = reply.json.get("value")
            if value is None or not number <= value <= self.attempted[key]:
                lost[key] = (reply.status, value, f"acknowledged {number}")
        return lost


async def kill(spot: Spot) -> None:
    await docker("kill", spot.name)
    await docker("start", spot.name)


async def restart(spot: Spot) -> None:
    await docker("restart", "-t", "20", spot.name)


@pytest.mark.parametrize("hurt", [kill, restart])
async def test_crash_of_each_container_in_turn_loses_no_acknowledged_write(
    containers: Containers, http: Client, hurt: Callable[[Spot], Awaitable[None]]
) -> None:
    await containers.start(*TRIO, view=TRIO)
    await containers.serving(*TRIO)
    writers = [Writer(http, number, TRIO[number % len(TRIO)]) for number in range(6)]
    load = [asyncio.create_task(writer.run()) for writer in writers]
    try:
        for spot in TRIO:
            await all_keys_written(writers)
            await hurt(spot)
        await all_keys_written(writers)
    finally:
        for task in load:
            task.cancel()
        outcomes = await asyncio.gather(*load, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes
    for spot in TRIO:
        assert [await writer.lost(spot) for writer in writers] == [{}] * len(writers)
    statuses = {status for writer in writers for status in writer.statuses}
    assert statuses <= {200, 201, 503}


async def all_keys_written(writers: Iterable[Writer]) -> None:
    """Wait until every key, and so through and to every node, has had a write acknowledged that began after now."""
    began = [(writer, key, writer.attempted.get(key, -1)) for writer in writers for key in writer.keys]

    async def written() -> bool:
        return all(writer.acknowledged.get(key, -1) > number for writer, key, number in began)

    await eventually(written, "every key written anew")
