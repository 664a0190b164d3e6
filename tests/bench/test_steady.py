"""Clients at a fixed rate judge each answer, and ask on whatever becomes of the ones before."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from bench.steady import Clients, Job, Phase
from tests.cluster import eventually


class Answers:
    """A store of which a test decides what becomes of its answers."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.status = 200
        self.forgets = False
        self.go = asyncio.Event()
        self.go.set()
        self.asked = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.go.wait()
        key = request.match_info["key"]
        if request.method == "PUT" and not self.forgets:
            self.values[key] = (await request.json())["value"]
        if request.method == "GET" and key not in self.values:
            return web.json_response({}, status=404)
        return web.json_response({"value": self.values.get(key)}, status=self.status)


async def ask_for_a_while(aiohttp_server: AiohttpServer, answers: Answers, requests: int) -> Phase:
    app = web.Application()
    app.router.add_route("*", "/kvs/keys/{key}", answers.handle)
    server = await aiohttp_server(app)
    job = Job([f"127.0.0.1:{server.port}"], [f"k{number}" for number in range(50)], per_second=500.0)
    until = asyncio.Event()
    async with aiohttp.ClientSession() as http:
        clients = Clients(job, http)
        running = asyncio.create_task(clients.run(until))

        async def enough() -> bool:
            return clients.phases[0].requests >= requests

        await eventually(enough, "they ask")
        answers.go.set()
        until.set()
        await running
    return clients.phases[0]


async def test_steady_all_well_counts_every_request(aiohttp_server: AiohttpServer) -> None:
    answers = Answers()
    phase = await ask_for_a_while(aiohttp_server, answers, 60)
    assert (phase.failed, phase.wrong, phase.faults) == (0, 0, [])
    assert phase.requests == answers.asked == len(phase.latencies_ms) >= 60
    assert phase.percentile_ms(0.0) <= phase.percentile_ms(0.99) <= phase.percentile_ms(1.0)


async def test_steady_refused_requests_are_counted_and_named(aiohttp_server: AiohttpServer) -> None:
    answers = Answers()
    answers.status = 503
    phase = await ask_for_a_while(aiohttp_server, answers, 60)
    assert phase.failed >= 30 and 0 < len(phase.faults) <= 5 and "503" in phase.faults[0]


async def test_steady_read_of_something_old_is_wrong(aiohttp_server: AiohttpServer) -> None:
    answers = Answers()
    answers.forgets = True
    answers.values = {f"k{number}": 0 for number in range(50)}
    phase = await ask_for_a_while(aiohttp_server, answers, 150)
    assert phase.failed == 0 and phase.wrong > 0 and "0, not 1 to" in phase.faults[0]


@pytest.mark.parametrize("requests", [20])
async def test_steady_a_store_that_stands_still_is_asked_all_the_same(
    aiohttp_server: AiohttpServer, requests: int
) -> None:
    answers = Answers()
    answers.go.clear()
    phase = await ask_for_a_while(aiohttp_server, answers, requests)
    assert phase.failed == 0 and phase.requests >= requests
