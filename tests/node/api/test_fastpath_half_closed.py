"""A client that sends no more, but still listens (`nc -N`, Go's CloseWrite), is answered before its connection ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster import eventually
from tests.node.api.short_way import PLAIN, Server, read_answer

PUT = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
LONG_PUT = PUT.replace(b"Host: x", b"Host: x\r\nTE: trailers")
"""For aiohttp."""


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends."""
    async with asyncio.timeout(5):
        return await reader.read()


def bodies(answers: bytes) -> list[str]:
    return [answer.partition(b"\r\n\r\n")[2].decode() for answer in answers.split(b"HTTP/1.1 200 OK")[1:]]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (PLAIN, ["here GET a 0"]),
        (PUT, ["here PUT a 3"]),
        (PUT + PLAIN + PUT + PLAIN, ["here PUT a 3", "here GET a 0"] * 2),
        (LONG_PUT, ["aiohttp PUT a 3"]),
        (LONG_PUT + PLAIN + PUT, ["aiohttp PUT a 3", "aiohttp GET a 0", "aiohttp PUT a 3"]),
        (LONG_PUT + 100 * PLAIN, ["aiohttp PUT a 3"] + 100 * ["aiohttp GET a 0"]),
        (PUT + LONG_PUT + PLAIN, ["here PUT a 3", "aiohttp PUT a 3", "aiohttp GET a 0"]),
        (PUT + PUT[:-1], ["here PUT a 3"]),
        (PUT + PLAIN[:-1], ["here PUT a 3"]),
        (PUT + LONG_PUT + PLAIN[:-1], ["here PUT a 3", "aiohttp PUT a 3"]),
        (LONG_PUT + PUT[:-1], ["aiohttp PUT a 3"]),
    ],
)
async def test_fastpath_half_closed_client_is_answered_in_order_what_it_has_sent_whole(
    server: Server, sent: bytes, expected: list[str]
) -> None:
    reader, writer = await server.connect()
    writer.write(sent)
    writer.write_eof()
    server.api.go.set()
    assert bodies(await all_of(reader)) == expected
    await eventually(server.is_left_alone, "no connection is left")
    writer.close()


@pytest.mark.parametrize("sent", [b"", PLAIN[:9], PUT[:-1], LONG_PUT[:-1], PUT[:-1].replace(b"PUT", b"POST")])
async def test_fastpath_half_closed_client_without_a_whole_request_is_closed(server: Server, sent: bytes) -> None:
    reader, writer = await server.connect()
    writer.write(sent)
    writer.write_eof()
    assert bodies(await all_of(reader)) == []
    await eventually(server.is_left_alone, "no connection is left")
    writer.close()


async def test_fastpath_half_closed_while_it_waits_and_then_handed_to_aiohttp(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(PUT + LONG_PUT)
    await eventually(server.at_work, "the first one is asked")
    writer.write_eof()
    (connection,) = server.front.connections

    async def has_noticed() -> bool:
        return connection._is_all

    await eventually(has_noticed, "the end is noticed")
    server.api.go.set()
    assert bodies(await all_of(reader)) == ["here PUT a 3", "aiohttp PUT a 3"]
    writer.close()


async def test_fastpath_half_closed_connection_ends_with_the_server(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(PUT + PLAIN)
    writer.write_eof()
    await eventually(server.at_work, "the first one is asked")
    (connection,) = server.front.connections
    closing = asyncio.create_task(server.front.close())

    async def is_ending() -> bool:
        return connection._ending

    await eventually(is_ending, "the connection is to end")
    server.api.go.set()
    await closing
    assert (await read_answer(reader))[1] == b"here PUT a 3"
    assert await all_of(reader) == b""
    writer.close()


async def test_fastpath_half_closed_by_one_that_has_left_ends_with_its_answer(server: Server) -> None:
    _, writer = await server.connect()
    writer.write(PUT)
    await eventually(server.at_work, "the request is under way")
    writer.close()
    server.api.go.set()
    await eventually(server.is_left_alone, "no connection is left")
    assert server.api.asked == ["a"]
