"""The application answers in JSON, whatever it is asked and whatever goes wrong.

Most tests need only an application. What is no HTTP never reaches one, so it is sent to whole nodes.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpClient

from node.api.admission import Admission
from node.api.app import VIEW_CHANGE, json_errors, make_app, noting
from node.api.data import KEYS, DataApi
from node.api.protocol import LINE_BYTES_MAX
from node.api.request_log import RequestLog
from node.api.tally import Tally
from node.config import Config
from node.errors import Conflict, NotFound, RequestFault, StorageFault, TooLarge, Unavailable, UnknownEncoding
from node.limits import Limits
from node.net.pool import Peers
from node.node import Node
from node.storage.identity import identify
from node.timing.turns import Turns
from tests.cluster import Client, Reply, eventually
from tests.node.api.raw_http import ask_raw
from tests.node.api.two_nodes import A_VALUE, TwoNodes, fault
from tests.node.fakes.clocks import SteadyTime
from tests.node.storage.opening import open_store


class Application:
    """One that is served, to be asked for paths as they are given."""

    def __init__(self, http: Client, address: str) -> None:
        self._http = http
        self._address = address

    async def ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        return await self._http.ask(self._address, method, path, body)


async def serve(app: web.Application, aiohttp_client: AiohttpClient) -> Application:
    client = await aiohttp_client(app)
    return Application(Client(client.session), f"{client.host}:{client.port}")


@pytest.fixture
async def app(tmp_path: Path, aiohttp_client: AiohttpClient) -> AsyncIterator[Application]:
    """That of a node, which does not run."""
    config, rng = Config.for_test("a:1", ("a:1",), tmp_path), random.Random(1)
    with closing(open_store(tmp_path)) as store:
        peers = Peers(config)
        node = Node(config, SteadyTime(), rng, store, await identify(store, rng, config.cluster, config.address), peers)
        await node.start()
        turns, requests = Turns(3600.0, time.monotonic), RequestLog(time.monotonic, 0.0)
        admission = Admission(Limits(), time.monotonic)
        app = make_app(node, DataApi(config, node.router), peers, turns, Tally(), requests, admission)
        yield await serve(app, aiohttp_client)
        turns.close()
        await node.close()


@pytest.mark.parametrize(
    ("path", "lines"),
    [(KEYS + "k", 1), (KEYS + "k?wait=9", 0), (KEYS + "k?else=9", 1), (VIEW_CHANGE, 0), ("/stream", 0)],
)
async def test_app_calls_nothing_slow_that_takes_its_time_on_purpose(
    path: str, lines: int, aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal now
        now += 5.0
        return web.Response()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = await answer(request)
        await response.prepare(request)
        return response

    app = web.Application(middlewares=[noting(RequestLog(lambda: now, 1.0))])
    app.router.add_get(KEYS + "{key}", answer)
    app.router.add_get(VIEW_CHANGE, answer)
    app.router.add_get("/stream", stream)
    assert (await (await serve(app, aiohttp_client)).ask("GET", path)).status == 200
    assert len([message for message in caplog.messages if "after 5.00 s" in message]) == lines


ALLOWED = {
    "/kvs/keys/apple": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/kvs/keys": "GET, HEAD, OPTIONS",
    "/kvs/key-count": "GET, HEAD, OPTIONS",
    "/kvs/shards": "GET, HEAD, OPTIONS",
    "/kvs/shards/1": "GET, HEAD, OPTIONS",
    "/kvs/view-change": "DELETE, GET, HEAD, OPTIONS, PUT",
    "/kvs/status": "GET, HEAD, OPTIONS",
    "/kvs/ring": "GET, HEAD, OPTIONS",
    "/": "GET, HEAD, OPTIONS",
    "/kvs": "GET, HEAD, OPTIONS",
    "/livez": "GET, HEAD, OPTIONS",
    "/readyz": "GET, HEAD, OPTIONS",
    "/metrics": "GET, HEAD, OPTIONS",
    "/openapi.json": "GET, HEAD, OPTIONS",
}
METHODS = ("POST", "PATCH", "DELETE", "PUT")


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path, allowed in ALLOWED.items() for method in METHODS if method not in allowed],
)
async def test_app_wrong_method_405_with_allow(app: Application, method: str, path: str) -> None:
    reply = await app.ask(method, path)
    assert (reply.status, reply.headers["Allow"]) == (405, ALLOWED[path])
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.body == fault("Method not allowed", method)


@pytest.mark.parametrize("path", ALLOWED)
async def test_app_options_204_with_allow(app: Application, path: str) -> None:
    reply = await app.ask("OPTIONS", path)
    assert (reply.status, reply.headers["Allow"], reply.body) == (204, ALLOWED[path], b"")


async def test_app_options_of_an_unknown_path_404(app: Application) -> None:
    reply = await app.ask("OPTIONS", "/kvs/x")
    assert (reply.status, reply.body) == (404, fault("Not found", "OPTIONS"))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("body", [None, b'{"causal-context":{}}', b"{"], ids=["plain", "with a context", "malformed"])
@pytest.mark.parametrize(
    "path", [*ALLOWED, "/kvs/keys/missing", f"/kvs/keys/{'k' * 51}", "/kvs/keys/%FF", "/kvs/shards/99", "/kvs/x"]
)
async def test_app_head_answers_as_get_does_without_the_body(two: TwoNodes, path: str, body: bytes | None) -> None:
    await two.prepare("apple", b"1")
    for node in two.nodes:

        async def are_alike(node: str = node) -> bool:
            """At once, but for what the nodes have just heard of each other."""
            get, head = await two.http.ask(node, "GET", path, body), await two.http.ask(node, "HEAD", path, body)
            assert (head.status, head.body) == (get.status, b"")
            assert head.headers["Content-Type"] == get.headers["Content-Type"]
            assert head.headers.keys() == get.headers.keys()
            return int(head.headers["Content-Length"]) == len(get.body)

        await eventually(are_alike, "the length of the body")


@pytest.mark.parametrize("path", ["/kvs/", "/kvs/keys/a/b", "/kvs/shards/", "/kvs/x", "//kvs/keys/a"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_app_unknown_path_404(app: Application, method: str, path: str) -> None:
    reply = await app.ask(method, path, A_VALUE)
    assert (reply.status, reply.body) == (404, fault("Not found", method))
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (RequestFault("Malformed key"), 400, "Malformed key"),
        (NotFound("Shard does not exist"), 404, "Shard does not exist"),
        (Conflict("Another view change is under way"), 409, "Another view change is under way"),
        (TooLarge("Value is too large"), 413, "Value is too large"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "Value is too large"),
        (UnknownEncoding("Content-Encoding is not supported"), 415, "Content-Encoding is not supported"),
        (web.HTTPExpectationFailed(), 417, "Expectation Failed"),
        (ZeroDivisionError("a mistake of ours"), 500, "Internal error"),
        (Unavailable(), 503, "Unable to satisfy request"),
        (StorageFault("the disk is full"), 503, "Unable to satisfy request"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_app_error_of_a_handler_is_answered_in_json(
    aiohttp_client: AiohttpClient, error: Exception, status: int, text: str
) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    app = web.Application(middlewares=[json_errors])
    app.router.add_get("/", handler)
    reply = await (await serve(app, aiohttp_client)).ask("GET", "/")
    assert (reply.status, reply.body) == (status, fault(text, "GET"))
    assert reply.headers["Content-Type"] == "application/json"
    assert ("Retry-After" in reply.headers) == (status == 503)


@pytest.mark.parametrize(
    ("error", "logged"),
    [(StorageFault("full"), "GET /x: full"), (ZeroDivisionError("oh"), "ZeroDivisionError: oh"), (Unavailable(), "")],
    ids=["the disk", "a mistake of ours", "no fault of this node"],
)
async def test_app_logs_what_an_operator_can_mend(
    aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture, error: Exception, logged: str
) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    app = web.Application(middlewares=[json_errors])
    app.router.add_get("/x", handler)
    caplog.set_level("ERROR")
    await (await serve(app, aiohttp_client)).ask("GET", "/x")
    assert logged in caplog.text and bool(caplog.text) == bool(logged)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (b"GET /kvs/keys/%b HTTP/1.1\r\nHost: x" % (b"k" * LINE_BYTES_MAX), 414, "Path is too long"),
        (b"GET /kvs/status?%b HTTP/1.1\r\nHost: x" % (b"k" * LINE_BYTES_MAX), 414, "Path is too long"),
        (b"GET /kvs/status HTTP/1.1\r\nHost: x\r\nX: %b" % (b"x" * LINE_BYTES_MAX), 431, "Header is too long"),
        (b"GET /kvs/keys/k HTTP/1.1\r\nHost: x\r\n%b: x" % (b"x" * LINE_BYTES_MAX), 431, "Header is too long"),
        (b"GET /kvs/keys/k HTTP/1.1\r\nHost: x%b" % (b"\r\nX: x" * 200), 431, "Too many headers"),
        (b"GET /kvs/keys/k HTTP/1.1\r\nHost: x\r\nX", 400, "Malformed request"),
    ],
    ids=["key", "query", "value", "name", "number", "no header"],
)
async def test_app_says_what_is_too_long(two: TwoNodes, request_: bytes, status: int, error: str) -> None:
    answered, headers, body = await ask_raw(two.nodes[0], request_ + b"\r\n\r\n")
    assert (answered, headers["content-type"]) == (status, "application/json")
    assert json.loads(body)["error"].startswith(error)


COURSE = ("/kvs/keys/apple", "/kvs/key-count", "/kvs/shards", "/kvs/shards/1")
"""What clients of the course's interface ask for, with whatever they append."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", [*ALLOWED, "/kvs/batch"])
async def test_app_options_that_nobody_knows_are_refused_but_where_course_clients_ask(two: TwoNodes, path: str) -> None:
    method = "POST" if path == "/kvs/batch" else "GET"
    reply = await two.http.ask(two.nodes[0], method, f"{path}?verbosity=1")
    if path in COURSE or path.startswith("/kvs/keys/"):
        assert reply.status in (200, 404)
    else:
        assert reply.status == 400 and reply.json["error"].startswith("Unknown option verbosity: ")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "request_",
    [
        *(b"GET /peer HTTP/1.1", b"GET /peer?to=127.0.0.1:1&from=x HTTP/1.1", b"NOSUCH / HTTP/1.1", b"\0\1\2"),
        *(b"GET / HTTP/9.9", b"GET /kvs/keys/a b HTTP/1.1", b"PUT /kvs/keys/a HTTP/1.1\r\nContent-Length: -1"),
        *(b"GET /kvs/keys/\xc3\xa9\xff HTTP/1.1", b"GET /kvs/keys/" + b"a" * 10_000 + b" HTTP/1.1"),
        *(b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000, b"GET /x\0 HTTP/1.1"),
        *(b"PUT /kvs/keys/a HTTP/1.1\r\nExpect: nonsense", b"GET /no/such HTTP/1.1\r\nExpect: nonsense"),
        *(b"GET /kvs/keys/a HTTP/1.1\r\nExpect: \xff", b"GET /peer?from=b:1&to=%b HTTP/1.1\r\nUpgrade: \xff"),
        *(b"PUT /kvs/x HTTP/1.1", b"PATCH /kvs/keys/a HTTP/1.1", b"DELETE /kvs/key-count HTTP/1.1"),
    ],
    ids=lambda request_: repr(request_[:30]),
)
async def test_app_bad_http_4xx_in_json(two: TwoNodes, request_: bytes) -> None:
    node = two.nodes[0]
    status, headers, body = await ask_raw(node, request_.replace(b"%b", node.encode()) + b"\r\nHost: x\r\n\r\n")
    assert 400 <= status < 500
    assert headers["content-type"] == "application/json"
    assert list(json.loads(body)) == ["error", "message"]
