"""A client that sends no more may still listen, or have gone; the kernel finds out which."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from node.api import presence
from tests.cluster import eventually
from tests.node.api.short_way import reset


class Listening(asyncio.Protocol):
    """Leaves open what its client has closed from its side."""

    def __init__(self) -> None:
        self.half_closed: asyncio.Future[asyncio.BaseTransport] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def eof_received(self) -> bool:
        presence.watch(self.transport)
        self.half_closed.set_result(self.transport)
        return True


@pytest.fixture
async def listening(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Listening, asyncio.StreamWriter]]:
    """The server's side of a connection, and the client's."""
    monkeypatch.setattr(presence, "KEEPALIVE_S", 1)
    protocol = Listening()
    server = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield protocol, writer
    writer.close()
    (await protocol.half_closed).close()
    server.close()


async def test_presence_of_a_client_that_sends_no_more_but_listens(
    listening: tuple[Listening, asyncio.StreamWriter],
) -> None:
    protocol, writer = listening
    writer.write_eof()
    assert not presence.has_left(await protocol.half_closed)


@pytest.mark.skipif(not hasattr(socket, "TCP_LINGER2"), reason="elsewhere it takes minutes until a client is forgotten")
async def test_presence_of_a_client_that_has_gone_ends_when_its_system_has_forgotten_it(
    listening: tuple[Listening, asyncio.StreamWriter],
) -> None:
    protocol, writer = listening
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    writer.close()
    transport = await protocol.half_closed

    async def has_left() -> bool:
        return presence.has_left(transport)

    await eventually(has_left, "the client is known to have gone")


async def test_presence_of_a_client_that_resets_ends_at_once(
    listening: tuple[Listening, asyncio.StreamWriter],
) -> None:
    protocol, writer = listening
    writer.write_eof()
    transport = await protocol.half_closed
    reset(writer)

    async def has_left() -> bool:
        return presence.has_left(transport)

    await eventually(has_left, "the client is known to have gone")


def test_presence_where_the_connection_is_closed() -> None:
    assert presence.has_left(None)
