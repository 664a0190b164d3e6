"""What the other side sees of a connection that is reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from node.net.connection import reset_connection


class Ends:
    """Both ends of one connection."""

    near: asyncio.StreamWriter
    far: asyncio.StreamReader


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends, accepted = Ends(), asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.far = reader
        writers.append(writer)
        accepted.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    _, ends.near = await asyncio.open_connection(*server.sockets[0].getsockname())
    await accepted.wait()
    yield ends
    for writer in (*writers, ends.near):
        writer.transport.abort()
    server.close()


async def test_reset_tells_the_other_side(ends: Ends) -> None:
    reset_connection(ends.near.transport)
    with pytest.raises(ConnectionResetError):
        await ends.far.read()


async def test_close_in_place_of_a_reset_delivers_what_was_sent(ends: Ends) -> None:
    ends.near.write(b"given up")
    ends.near.close()
    assert await ends.far.read() == b"given up"


async def test_reset_of_a_closed_connection_does_nothing(ends: Ends) -> None:
    ends.near.close()
    await ends.near.wait_closed()
    reset_connection(ends.near.transport)
    assert await ends.far.read() == b""
