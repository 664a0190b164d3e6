"""What aiohttp's protocol lacks: an end for heads that do not end, and for clients that take nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from node.api.admission import Bounds, Dropped, Limit, Visit
from node.api.protocol import AFTER_ANSWER_BYTES, JsonProtocol
from node.limits import Limits
from tests.cluster import eventually
from tests.node.api.short_way import PLAIN, Server, Written, aiohttps_connection, bounds_of, read_answer

BEGUN = b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nA: "


async def say_hello(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")


class Links:
    """Who visits."""

    def __init__(self) -> None:
        self.bounds = bounds_of()
        self.transport = Written()

    def visit(self) -> Visit:
        return self.bounds.admission.arrive("10.0.0.1")

    @property
    def count(self) -> int:
        return self.bounds.admission.rooms[Limit.CONNECTIONS].used


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    yield Links()


async def take_over(server: Server, links: Links, start: bytes) -> JsonProtocol:
    protocol = server.front.successor()
    assert isinstance(protocol, JsonProtocol)
    protocol.take_over(links.transport, start, False, links.visit())
    return protocol


@pytest.mark.parametrize(
    ("head", "status", "error"),
    [
        (b"GET /kvs/keys/a?%b HTTP/1.1\r\nHost: x" % (b"a" * 9000), b"414", "Path is too long: more than 8192 bytes"),
        (
            b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nA: %b" % (b"a" * 9000),
            b"431",
            "Header is too long: more than 8190 bytes",
        ),
        (b"GET /kvs/keys/a HTTP/1.1\r\nHost: x" + b"\r\nA: a" * 200, b"431", "Too many headers"),
    ],
    ids=["path", "header", "headers"],
)
async def test_protocol_head_that_is_too_large_says_what_of_it(
    server: Server, head: bytes, status: bytes, error: str
) -> None:
    reader, writer = await server.connect()
    writer.write(head + b"\r\n\r\n")
    answer, body = await read_answer(reader)
    assert (answer.split()[1], json.loads(body)["error"]) == (status, error)
    assert await reader.read() == b""
    writer.close()


async def test_protocol_head_that_goes_on_for_ever_is_431_and_no_more_of_it_is_kept() -> None:
    with aiohttps_connection(say_hello, BEGUN) as (protocol, transport):
        for number in range(100):
            protocol.data_received(b"%b\r\nB%d: " % (b"b" * 4000, number))
            if transport.is_closed:
                break
        assert number < 20 and transport.written.startswith(b"HTTP/1.1 431 ")


class TestSlow:
    @pytest.fixture
    def bounds(self) -> Bounds:
        return bounds_of(head_s=0.05, answer_s=0.05)

    @pytest.mark.parametrize("sent", [BEGUN, b"G", PLAIN + BEGUN])
    async def test_protocol_head_that_does_not_end_is_given_up(self, server: Server, sent: bytes) -> None:
        reader, writer = await server.connect()
        writer.write(sent)
        if sent.startswith(PLAIN):
            assert (await read_answer(reader))[1] == b"here GET a 0"
        head, body = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert body == b'{"error":"The head did not arrive in time","message":"Error in GET"}'
        assert await reader.read() == b""
        assert server.front.admission.dropped[Dropped.SLOW_HEAD] == 1
        writer.close()

    async def test_protocol_connection_that_is_kept_has_no_head_to_wait_for(self, server: Server) -> None:
        reader, writer = await server.connect()
        for _ in range(2):
            writer.write(b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nX-Request-Id: 1\r\n\r\n\r\n")
            assert b" 200 " in (await read_answer(reader))[0]
            await asyncio.sleep(0.15)  # Twice as long as a head may take.
        writer.close()

    async def test_protocol_client_that_takes_no_answer_is_cut_off_and_counts_no_more(self, server: Server) -> None:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", server._port))
            asked = b"GET /kvs/keys/big HTTP/1.1\r\nHost: x\r\nX-Request-Id: 1\r\n\r\n"
            await loop.sock_sendall(client, asked * 1000)
            admission = server.front.admission

            async def is_cut_off() -> bool:
                return admission.dropped[Dropped.SLOW_READER] == 1

            await eventually(is_cut_off, "it being cut off")
            await eventually(server.is_left_alone, "nothing being left of it")
        assert [admission.rooms[limit].used for limit in (Limit.REQUESTS, Limit.MEMORY, Limit.CONNECTIONS)] == [0, 0, 0]

    async def test_protocol_connection_that_is_closed_and_not_taken_to_its_end_is_cut_off(
        self, server: Server, links: Links
    ) -> None:
        """Its client does not take the last of what it was sent, which is too little to be waited for before."""
        await take_over(server, links, PLAIN.replace(b"Host", b"Connection: close\r\nHost"))

        async def is_cut_off() -> bool:
            return links.transport.is_aborted

        await eventually(is_cut_off, "it being cut off")
        assert links.transport.is_closed and b"GET a 0" in links.transport.written


class TestNoMemory:
    @pytest.fixture
    def bounds(self) -> Bounds:
        return bounds_of(Limits(memory_mib=1))

    async def test_protocol_answer_for_which_there_is_no_memory_is_503(self, server: Server) -> None:
        server.front.admission.memory.used = 1024 * 1024
        reader, writer = await server.connect()
        writer.write(PLAIN.replace(b"Host", b"X-Request-Id: 1\r\nHost"))
        head, body = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in head
        assert body == b'{"error":"Too much memory is taken","message":"Error in GET"}'
        writer.close()
        server.front.admission.memory.used = 0


async def test_protocol_visit_lasts_as_long_as_the_connection(server: Server, links: Links) -> None:
    protocol = await take_over(server, links, BEGUN)
    assert links.count == 1
    protocol.connection_lost(None)
    assert links.count == 0


async def test_protocol_node_is_no_visitor_and_no_client_once_it_is_refused(server: Server, links: Links) -> None:
    """Or its connection, which counts nowhere, would serve as that of a client."""
    protocol = await take_over(server, links, b"GET /peer? HTTP/1.1\r\nHost: x\r\n\r\n" + PLAIN)
    assert links.count == 0

    async def is_closed() -> bool:
        return links.transport.is_closed

    await eventually(is_closed, "the connection being closed")
    assert links.transport.written.startswith(b"HTTP/1.1 404 ")
    assert links.transport.written.count(b"HTTP/1.1 ") == 1
    protocol.connection_lost(None)


ENDLESS = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + bytes(0x10000) + b"\r\n"


async def refuse(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=401)


async def test_protocol_of_a_body_that_was_refused_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing, and a moment later its connection is closed: by then its client has the answer."""
    monkeypatch.setattr("node.api.protocol.AFTER_ANSWER_S", 0.05)
    with aiohttps_connection(refuse, ENDLESS) as (protocol, transport):

        async def is_answered() -> bool:
            return transport.written.startswith(b"HTTP/1.1 401 ")

        await eventually(is_answered, "the refusal")
        for _ in range(AFTER_ANSWER_BYTES // len(CHUNK)):
            protocol.data_received(CHUNK)
            await asyncio.sleep(0)
        assert transport.is_read and not transport.is_closed
        for _ in range(3):
            protocol.data_received(CHUNK)
            await asyncio.sleep(0)
        assert not transport.is_read and not transport.is_closed

        async def is_closed() -> bool:
            return transport.is_closed

        await eventually(is_closed, "the end of the connection")


async def test_protocol_of_bodies_that_were_refused_each_is_read_to_its_end() -> None:
    """And the next request on the connection is answered."""
    times = 4
    with aiohttps_connection(refuse, b"") as (protocol, transport):
        for number in range(1, times + 1):
            protocol.data_received(ENDLESS)

            async def is_answered(number: int = number) -> bool:
                return transport.written.count(b"HTTP/1.1 401 ") == number

            await eventually(is_answered, "the refusal")
            for _ in range(AFTER_ANSWER_BYTES // len(CHUNK)):
                protocol.data_received(CHUNK)
                await asyncio.sleep(0)
            protocol.data_received(b"0\r\n\r\n")
            await asyncio.sleep(0)
        assert transport.is_read and not transport.is_closed
