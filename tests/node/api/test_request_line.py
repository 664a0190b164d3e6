"""What stands raw in a path is the same key as its percent-encoding, and no body is touched."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from gossip.view import host_of, port_of
from node.api.request_line import RequestLine
from tests.cluster import eventually
from tests.node.api.short_way import Server, aiohttps_connection, read_answer
from tests.node.api.two_nodes import TwoNodes, fault

RAW = "GET /kvs/keys/café HTTP/1.1\r\nHost: x\r\n\r\n".encode()
LONG_RAW = RAW.replace(b"Host: x", b"Host: x\r\nTE: trailers")
"""For aiohttp."""
BODY = b"\xff\n\xff\r\n\xff\r\n\r\n\xff\xff"
LONG_PUT = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nTE: t\xc3\xbc\r\nContent-Length: %d\r\n\r\n" % len(BODY)
LONG_GET = b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nTE: t\xc3\xbc\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "encoded"),
    [
        ([RAW], [RAW.replace(b"\xc3\xa9", b"%C3%A9")]),
        ([b"G", b"ET /\xc3", b"\xa9 H", b"TTP/1.1\r\nX: \xc3"], [b"G", b"ET /%C3", b"%A9 H", b"TTP/1.1\r\nX: \xc3"]),
        ([b"GET / HTTP/1.1\r", b"\n\xff", b"\xff"], [b"GET / HTTP/1.1\r", b"\n\xff", b"\xff"]),
    ],
)
def test_request_line_is_encoded_up_to_its_end(pieces: list[bytes], encoded: list[bytes]) -> None:
    line = RequestLine()
    assert [line.encode(piece) for piece in pieces] == encoded


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("oddity", [b"", b"TE: trailers\r\n"], ids=["short way", "aiohttp"])
async def test_request_line_raw_utf8_is_the_key_and_what_is_none_is_malformed(two: TwoNodes, oddity: bytes) -> None:
    await two.prepare("caf%C3%A9", None)
    node = two.owner("caf%C3%A9")
    reader, writer = await asyncio.open_connection(host_of(node), port_of(node))
    head = b" HTTP/1.1\r\nHost: x\r\n" + oddity + b"Content-Length: 11\r\n\r\n"
    for key, answer in (
        ("café".encode(), b'{"message":"Added successfully","replaced":false}'),
        (b"caf\xe9", fault("Malformed key", "PUT")),
        (b"caf%E9\xc3\xa9", fault("Malformed key", "PUT")),
        (b"caf%C3\xa9", b'{"message":"Updated successfully","replaced":true}'),
    ):
        writer.write(b"PUT /kvs/keys/" + key + head + b'{"value":1}')
        assert (await read_answer(reader))[1] == answer
    writer.close()
    assert (await two.http.ask(node, "GET", "/kvs/keys/caf%C3%A9")).json["value"] == 1


@pytest.mark.parametrize("cut", range(0, len(LONG_RAW) - 1, 5))
async def test_request_line_in_two_pieces_on_a_connection_of_aiohttp(server: Server, cut: int) -> None:
    reader, writer = await server.connect()
    for _ in range(2):
        writer.write(LONG_RAW[:cut])
        await writer.drain()
        if cut:
            await eventually(server.has_let_go, "it is aiohttp's")
        writer.write(LONG_RAW[cut:])
        assert (await read_answer(reader))[1] == "aiohttp GET café 0".encode()
    writer.close()


@pytest.mark.parametrize("size", [*range(1, 40), *range(40, 2 * len(LONG_PUT + BODY), 7)])
async def test_request_line_bodies_are_left_as_they_are_however_it_is_cut(size: int) -> None:
    async def echo(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    sent = 2 * (LONG_PUT + BODY) + LONG_GET
    with aiohttps_connection(echo, sent[:size]) as (protocol, transport):
        for start in range(size, len(sent), size):
            protocol.data_received(sent[start : start + size])
            await asyncio.sleep(0)

        async def are_answered() -> bool:
            return transport.written.count(b"HTTP/1.1 200 OK") == 3

        await eventually(are_answered, "all are answered")
        assert transport.written.count(b"\r\n\r\n" + BODY) == 2
