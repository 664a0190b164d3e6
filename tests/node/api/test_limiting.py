"""Which limit each route counts for; and that each request leaves its place, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from gossip.view import Address
from node.api.admission import Admission, Limit
from node.api.app import json_errors, make_app, route_of
from node.api.batch_lines import BATCH
from node.api.data import DataApi
from node.api.limiting import LIMITS, limiting
from node.api.request_log import RequestLog
from node.api.tally import WAIT_ROUTE, Tally
from node.limits import Limits
from node.net.pool import Peers
from node.node import Node
from node.timing.turns import Turns
from tests.node.api.raw_http import ask_raw
from tests.node.api.short_way import Server


def test_limiting_names_routes_that_there_are(idle_node: Node, still_turns: Turns) -> None:
    assert isinstance(idle_node.transport, Peers)
    data, requests = DataApi(idle_node.config, idle_node.router), RequestLog(monotonic, 0.0)
    app = make_app(idle_node, data, idle_node.transport, still_turns, Tally(), requests, Admission(Limits(), monotonic))
    routes = {resource.canonical for resource in app.router.resources()}
    assert LIMITS.keys() - {WAIT_ROUTE} <= routes


@pytest.fixture
def admission() -> Admission:
    return Admission(Limits(watchers=1, listings=1, batches=1, exports=1, requests=1), monotonic)


@pytest.fixture
def go() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def node(aiohttp_server: AiohttpServer, admission: Admission, go: asyncio.Event) -> AsyncIterator[Address]:
    """It answers all paths once `go` is set; those with `broken` in them it does not."""

    async def handle(request: web.Request) -> web.Response:
        await go.wait()
        if "broken" in request.query:
            raise RuntimeError("broken")
        return web.Response(text="done")

    app = web.Application(middlewares=[json_errors, limiting(admission, route_of)])
    for path in ("/kvs/watch", "/kvs/keys", BATCH, "/kvs/export", "/kvs/keys/{key}", "/kvs/ring", "/livez", "/metrics"):
        app.router.add_get(path, handle)
    server = await aiohttp_server(app)
    yield f"{server.host}:{server.port}"
    go.set()


def asking(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("path", "limit", "text"),
    [
        ("/kvs/watch", Limit.WATCHERS, b"Too many watchers"),
        ("/kvs/keys/a?wait=1", Limit.WATCHERS, b"Too many watchers"),
        ("/kvs/keys", Limit.LISTINGS, b"Too many listings"),
        (BATCH, Limit.BATCHES, b"Too many batches"),
        ("/kvs/export", Limit.EXPORTS, b"Too many exports"),
        ("/kvs/ring", Limit.REQUESTS, b"Too many requests"),
        ("/kvs/keys/a", Limit.REQUESTS, b"Too many requests"),
    ],
)
async def test_limiting_refuses_those_for_whom_there_is_no_room_and_no_others(
    node: Address, admission: Admission, go: asyncio.Event, path: str, limit: Limit, text: bytes
) -> None:
    first = asyncio.create_task(ask_raw(node, asking(path)))
    while not admission.rooms[limit].used:
        await asyncio.sleep(0)
    status, headers, body = await ask_raw(node, asking(path))
    assert (status, headers["retry-after"]) == (503, "1")
    assert body == b'{"error":"%b","message":"Error in GET"}' % text
    others = [asyncio.create_task(ask_raw(node, asking(other))) for other in ("/livez", "/metrics")]
    go.set()
    assert (await first)[0] == 200
    assert [(await other)[0] for other in others] == [200, 200]


async def test_limiting_a_request_that_fails_leaves_its_place(
    node: Address, admission: Admission, go: asyncio.Event
) -> None:
    go.set()
    for _ in range(3):
        assert (await ask_raw(node, asking("/kvs/ring?broken")))[0] == 500
    assert admission.requests.used == 0


async def test_limiting_an_answer_that_is_sent_leaves_its_place(server: Server) -> None:
    """By the protocol that sends it."""
    for _ in range(3):
        assert await server.ask(b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert server.front.admission.requests.used == 0
