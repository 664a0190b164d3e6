"""How both sides of a link break its connection.

What a node has given up on must not be executed later. If a connection is merely closed, the kernel goes on sending
what waits in its buffers, and the peer executes it after all. If it is reset, what was not delivered yet is lost.
Neither asyncio nor aiohttp has a public way to do that.
"""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET

import aiohttp

NO_LINGER = struct.pack("ii", 1, 0)
"""`struct linger`: on, for 0 s. The kernel then answers a close with a reset."""


def reset_connection(transport: asyncio.WriteTransport) -> None:
    """Break the connection: what the kernel has not delivered never will be."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, NO_LINGER)
    transport.abort()


def reset_dialled(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Break the connection of a WebSocket that this side has dialled."""
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        reset_connection(connection.transport)


def dialled_ip(socket: aiohttp.ClientWebSocketResponse) -> str | None:
    """The IP address at which a WebSocket that this side has dialled ends; None if it is broken already."""
    name = socket.get_extra_info("peername")
    return None if name is None else str(name[0])
