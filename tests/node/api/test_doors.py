"""Who may do what: on each route, on both ways in, and on connections that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from pytest_aiohttp import AiohttpClient

from gossip.view import Address, host_of, port_of
from node.api.app import json_errors
from node.api.doors import ROLES, Doors, role_of
from node.net.handshake import PATH as PEER
from node.secret_files import SecretFile
from node.tokens import Role, Tokens, parse_tokens
from tests.cluster import Client, Cluster, client, eventually, fresh_addresses
from tests.node.api.short_way import PLAIN, Server, read_answer
from tests.node.api.two_nodes import A_VALUE, TwoNodes, fault, routes_of
from tests.node.tokens import ADMIN, READ, UNKNOWN, WRITE, bearing, lines_for, tokens_file, write_secret

in_module = pytest.mark.asyncio(loop_scope="module")

ROLE_OF = {None: Role.ANYBODY, UNKNOWN: Role.ANYBODY, READ: Role.READ, WRITE: Role.WRITE, ADMIN: Role.ADMIN}
REQUESTS = [
    ("GET", "/kvs/keys/k", Role.READ),
    ("HEAD", "/kvs/keys/k", Role.READ),
    ("PUT", "/kvs/keys/k", Role.WRITE),
    ("DELETE", "/kvs/keys/k", Role.WRITE),
    ("GET", "/kvs/keys", Role.READ),
    ("GET", "/kvs/key-count", Role.READ),
    ("GET", "/kvs/shards", Role.READ),
    ("GET", "/kvs/shards/1", Role.READ),
    ("POST", "/kvs/batch", Role.WRITE),
    ("GET", "/kvs/export", Role.READ),
    ("GET", "/kvs/status", Role.READ),
    ("GET", "/kvs/node", Role.READ),
    ("GET", "/metrics", Role.READ),
    ("GET", "/livez", Role.ANYBODY),
    ("GET", "/readyz?verbose", Role.ANYBODY),
    ("GET", "/kvs/ring", Role.READ),
    ("GET", "/ui", Role.ANYBODY),
    ("GET", "/ui/main.js", Role.ANYBODY),
    ("HEAD", "/ui/stream", Role.READ),
    ("GET", "/ui/copies?key=k", Role.READ),
    ("GET", "/", Role.READ),
    ("GET", "/kvs", Role.READ),
    ("GET", "/kvs/view-change", Role.READ),
    ("HEAD", "/kvs/view-change", Role.READ),
    ("PUT", "/kvs/view-change", Role.ADMIN),
    ("PUT", "/kvs/view-change?dry-run=true", Role.ADMIN),
    ("DELETE", "/kvs/view-change", Role.ADMIN),
    ("OPTIONS", "/kvs/keys/k", Role.READ),
    ("POST", "/kvs/status", Role.READ),
    ("OPTIONS", "/livez", Role.ANYBODY),
    ("POST", "/readyz", Role.ANYBODY),
    ("GET", "/openapi.json", Role.READ),
    ("GET", "/nowhere", Role.READ),
]
"""With the least role that each takes."""


@pytest.fixture
def file(tmp_path: Path) -> SecretFile[Tokens]:
    return SecretFile("TOKENS_FILE", tokens_file(tmp_path), parse_tokens)


@pytest.fixture
def doors(file: SecretFile[Tokens]) -> Doors:
    return Doors(file)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoNodes]:
    directory = tmp_path_factory.mktemp("guarded")
    nodes, cluster, file = fresh_addresses(2), Cluster(directory), tokens_file(directory)
    async with client() as http:
        await asyncio.gather(*(cluster.start(node, nodes, tokens_file=file) for node in nodes))
        yield TwoNodes(http, cluster, nodes)
        await cluster.close()


@in_module
async def test_doors_every_route_says_which_role_it_takes(two: TwoNodes) -> None:
    routes = routes_of(two)
    forgotten = {(path, method) for path, method in routes if method not in ROLES.get(path, {})}
    assert routes and not forgotten, "say in node.api.doors who may use them"


def test_doors_open_to_anybody_are_these_alone() -> None:
    is_open = {(path, method) for path, roles in ROLES.items() for method, role in roles.items() if not role}
    assert is_open == {(path, "GET") for path in ("/livez", "/readyz", "/ui", "/ui/{file}", PEER)}
    assert role_of("/livez", "HEAD") is Role.ANYBODY


async def test_doors_route_that_says_nothing_takes_the_highest_role(
    aiohttp_client: AiohttpClient, doors: Doors
) -> None:
    async def here(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application(middlewares=[json_errors, doors.check])
    app.router.add_get("/new", here)
    app.router.add_post("/livez", here)
    http = await aiohttp_client(app)
    for method, path in [("GET", "/new"), ("HEAD", "/new"), ("POST", "/livez")]:
        statuses = [(await http.request(method, path, headers=bearing(token))).status for token in (None, WRITE, ADMIN)]
        assert statuses == [401, 403, 200]


@in_module
@pytest.mark.parametrize("token", ROLE_OF)
@pytest.mark.parametrize("way", ["plain", "aiohttp"])
@pytest.mark.parametrize(("method", "path", "needed"), REQUESTS)
async def test_doors_each_role_on_each_route(
    guarded: TwoNodes, method: str, path: str, needed: Role, way: str, token: str | None
) -> None:
    """Through the owner and through the other node. `way`: `Connection: close` is for aiohttp."""
    for node in guarded.nodes:
        headers = bearing(token) | ({"Connection": "close"} if way == "aiohttp" else {})
        reply = await guarded.http.ask(node, method, path, A_VALUE if method == "PUT" else None, headers)
        if ROLE_OF[token] >= needed:
            assert reply.status not in (401, 403)
            continue
        is_known = token in (READ, WRITE, ADMIN)
        said = f"Token is for {ROLE_OF[token].name.lower()}, and this takes {needed.name.lower()}"
        error = said if is_known else "Token is missing" if token is None else "Token is unknown"
        answered_as = "GET" if method == "HEAD" else method
        assert reply.status == (403 if is_known else 401)
        assert reply.body == (b"" if method == "HEAD" else fault(error, answered_as))
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers.get("WWW-Authenticate") == (None if is_known else "Bearer")


@in_module
async def test_doors_refuse_a_watch_before_it_begins(guarded: TwoNodes) -> None:
    for token in (None, UNKNOWN):
        reply = await guarded.http.ask(guarded.nodes[0], "GET", "/kvs/watch", headers=bearing(token))
        assert (reply.status, reply.headers["Content-Type"]) == (401, "application/json")


@in_module
async def test_doors_say_the_same_of_whatever_key_and_body(guarded: TwoNodes) -> None:
    """One that exists, one that does not, one of another node, and what no key can be."""
    node = guarded.nodes[0]
    await guarded.http.ask(node, "PUT", "/kvs/keys/there", A_VALUE, bearing(WRITE))
    keys = ["there", "not-there", *(f"k{n}" for n in range(8)), "x" * 51, "%ff", "a/b", ""]
    for token, method in [(None, "GET"), (UNKNOWN, "DELETE"), (READ, "PUT"), (READ, "DELETE")]:
        for body in (None, A_VALUE, b"{", b'{"value":1,"causal-context":{"made":"up"}}'):
            answers = [await guarded.http.ask(node, method, f"/kvs/keys/{key}", body, bearing(token)) for key in keys]
            assert len({(answer.status, answer.body) for answer in answers}) == 1
            assert answers[0].status == (403 if token else 401) or token == UNKNOWN
    assert (await guarded.http.ask(node, "GET", "/kvs/keys/there", headers=bearing(READ))).status == 200


@in_module
async def test_doors_links_between_nodes_take_no_token(guarded: TwoNodes) -> None:
    """Or these nodes had no view in common, and no key of the other."""
    for key in (f"k{n}" for n in range(8)):
        for node in guarded.nodes:
            written = await guarded.http.ask(node, "PUT", f"/kvs/keys/{key}", A_VALUE, bearing(WRITE))
            assert written.status in (200, 201)
    asked = [await guarded.http.ask(node, "GET", "/peer") for node in guarded.nodes]
    assert [reply.status for reply in asked] == [400, 400]


def with_token(request: bytes, token: str | None) -> bytes:
    line = b"" if token is None else b"\r\nAuthorization: Bearer %b" % token.encode()
    return request.replace(b"\r\nHost: x", b"\r\nHost: x" + line, 1)


async def test_doors_short_way_refuses_as_aiohttp_does_and_looks_at_nothing(server: Server) -> None:
    for token in (None, UNKNOWN):
        request = with_token(PLAIN, token)
        reader, writer = await server.connect()
        writer.write(request)
        here, body = await read_answer(reader)
        writer.write(request[:30])
        await eventually(server.has_let_go, "a part of a request is aiohttp's")
        writer.write(request[30:])
        there, same_body = await read_answer(reader)
        assert here.startswith(b"HTTP/1.1 401 Unauthorized\r\n") and body == same_body
        names = [[line.partition(b":")[0] for line in head.split(b"\r\n")] for head in (here, there)]
        assert sorted(names[0]) == sorted(names[1])
        writer.close()
    assert server.api.asked == []


async def test_doors_pipelined_requests_are_judged_each_by_its_own_token(server: Server) -> None:
    reader, writer = await server.connect()
    tokens = [None, READ, UNKNOWN, WRITE, None, ADMIN]
    writer.write(b"".join(with_token(PLAIN, token) for token in tokens))
    statuses = [(await read_answer(reader))[0].split()[1] for _ in tokens]
    assert statuses == [b"401", b"200", b"401", b"200", b"401", b"200"]
    writer.write(with_token(PLAIN, READ).replace(b"GET", b"PUT") + with_token(PLAIN, READ))
    assert [(await read_answer(reader))[0].split()[1] for _ in range(2)] == [b"403", b"200"]
    assert len(server.api.asked) == 4
    writer.close()


@pytest.mark.parametrize("at", [5, 30, 50, 70, len(with_token(PLAIN, READ)) - 1])
@pytest.mark.parametrize(("token", "status"), [(READ, b"200"), (UNKNOWN, b"401")])
async def test_doors_split_heads(server: Server, at: int, token: str, status: bytes) -> None:
    request = with_token(PLAIN, token)
    reader, writer = await server.connect()
    writer.write(request[:at])
    await eventually(server.has_let_go, "a part of a request is aiohttp's")
    writer.write(request[at:])
    assert (await read_answer(reader))[0].split()[1] == status
    writer.close()


@pytest.mark.parametrize(
    "begin",
    [
        b'PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"val',
        b'PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"val',
        b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
        b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n",
    ],
)
@pytest.mark.parametrize(("token", "status"), [(None, b"401"), (READ, b"403")])
async def test_doors_refuse_before_the_body_has_come(
    server: Server, begin: bytes, token: str | None, status: bytes
) -> None:
    reader, writer = await server.connect()
    writer.write(with_token(begin, token))
    assert (await read_answer(reader))[0].split()[1] == status
    writer.close()


async def test_doors_two_tokens_in_one_request_are_none(server: Server) -> None:
    twice = with_token(with_token(PLAIN, UNKNOWN), ADMIN)
    (body,) = await server.ask(twice)
    assert "Token is unknown" in body or "Malformed request" in body
    assert server.api.asked == []


async def test_doors_tokens_read_again_hold_for_connections_that_are_open(
    server: Server, file: SecretFile[Tokens]
) -> None:
    reader, writer = await server.connect()

    async def status(token: str) -> bytes:
        writer.write(with_token(PLAIN, token))
        return (await read_answer(reader))[0].split()[1]

    assert [await status(READ), await status(UNKNOWN)] == [b"200", b"401"]
    write_secret(file.path, lines_for(read=UNKNOWN))
    await file.renew()
    assert [await status(READ), await status(UNKNOWN)] == [b"401", b"200"]
    writer.close()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(0)
    yield caplog


async def test_doors_no_token_is_ever_logged(server: Server, told: pytest.LogCaptureFixture) -> None:
    for token in (UNKNOWN, READ):
        await server.ask(with_token(PLAIN, token))
        await server.ask(with_token(PLAIN, token)[:60], with_token(PLAIN, token)[60:])
        await server.ask(with_token(PLAIN.replace(b"/a ", b"/broken "), token))
    assert "GET /kvs/keys/broken failed" in told.text
    assert UNKNOWN not in told.text and READ not in told.text


async def test_doors_without_tokens_are_none(http: Client, cluster: Cluster) -> None:
    (node,) = fresh_addresses(1)
    await cluster.start(node, [node])
    for token in (None, UNKNOWN):
        assert (await http.ask(node, "PUT", "/kvs/keys/k", A_VALUE, bearing(token))).status in (200, 201)


async def connected(node: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host_of(node), port_of(node))


@in_module
async def test_doors_refused_client_keeps_its_connection(guarded: TwoNodes) -> None:
    reader, writer = await connected(guarded.nodes[0])
    for token, status in [(None, b"401"), (READ, b"404"), (UNKNOWN, b"401"), (WRITE, b"404")]:
        writer.write(with_token(PLAIN.replace(b"/a ", b"/nobody "), token))
        assert (await read_answer(reader))[0].split()[1] == status
    writer.close()


@in_module
@pytest.mark.parametrize("line", [b"", b"\r\nConnection: close"], ids=["plain", "aiohttp"])
async def test_doors_who_is_refused_is_counted(guarded: TwoNodes, line: bytes) -> None:
    node = guarded.nodes[0]

    async def refused() -> float:
        told = (await guarded.http.ask(node, "GET", "/metrics", headers=bearing(READ))).body.decode()
        counted = 'kvs_requests_total{method="DELETE",route="/kvs/keys/{key}",status="403"} '
        return sum(float(line.removeprefix(counted)) for line in told.splitlines() if line.startswith(counted))

    before = await refused()
    reader, writer = await connected(node)
    writer.write(with_token(PLAIN.replace(b"GET", b"DELETE"), READ).replace(b"\r\nHost: x", b"\r\nHost: x" + line))
    assert (await read_answer(reader))[0].split()[1] == b"403"
    writer.close()
    assert await refused() == before + 1
