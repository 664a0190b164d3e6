"""The load of one client process: tasks that each begin the next call when the last one is answered.

A process of its own, told by one JSON `Job` on stdin, answering with one JSON `load.Result` on stdout. Unlike `load`,
which has to be cheaper than what it measures, here the client is what is measured: ours, or plain aiohttp, with calls
to a node by chance and the same done with each answer.
"""

from __future__ import annotations

import asyncio
import random
import sys
from array import array
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Literal

import aiohttp
import msgspec
import yarl

import kvs
from bench.load import Result

INTRODUCTIONS_S = 1.0
"""For a client to have learned the ring."""


class Job(msgspec.Struct, frozen=True):
    client: Literal["kvs", "aiohttp"]
    addresses: list[str]
    method: Literal["GET", "PUT"]
    keys: list[str]
    value: str
    tasks: int
    warm_up_s: float
    duration_s: float


async def run(job: Job) -> Result:
    if job.client == "kvs":
        async with kvs.AsyncClient(job.addresses) as client:

            async def get(key: str) -> object:
                found = await client.get(key)
                return found and found.value

            async def put(key: str) -> object:
                return (await client.put(key, job.value)).version

            await get(job.keys[0])
            await asyncio.sleep(INTRODUCTIONS_S)
            return await measured(job, get if job.method == "GET" else put)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        def url_of(key: str) -> yarl.URL:
            return yarl.URL(f"http://{random.choice(job.addresses)}/kvs/keys/{key}", encoded=True)

        async def plain_get(key: str) -> object:
            async with session.get(url_of(key), raise_for_status=True) as response:
                return (await response.json())["value"]

        async def plain_put(key: str) -> object:
            async with session.put(url_of(key), json={"value": job.value}, raise_for_status=True) as response:
                await response.json()
                return response.headers["ETag"]

        return await measured(job, plain_get if job.method == "GET" else plain_put)


async def measured(job: Job, call: Callable[[str], Awaitable[object]]) -> Result:
    """A call that fails ends it."""
    begin = perf_counter() + job.warm_up_s
    end = begin + job.duration_s
    latencies = array("d")

    async def ask() -> None:
        while (sent_at := perf_counter()) < end:
            await call(random.choice(job.keys))
            now = perf_counter()
            if begin < now <= end:
                latencies.append(now - sent_at)

    await asyncio.gather(*(ask() for _ in range(job.tasks)))
    ordered = sorted(latencies)
    assert ordered, "no answer within the time of the measurement"
    p50, p99 = (1000 * ordered[len(ordered) * percent // 100] for percent in (50, 99))
    return Result(len(ordered), job.duration_s, p50, p99, 0)


if __name__ == "__main__":
    result = asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
    sys.stdout.buffer.write(msgspec.json.encode(result))
