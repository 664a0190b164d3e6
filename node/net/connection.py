"""How a link is broken so that nothing more comes of it.

What a node has given up on must not be executed later. A connection that is merely closed is still delivered: the
kernel goes on sending what waits in its buffers, and the peer would execute it after all. A connection that is reset
loses what was not delivered yet. Neither asyncio nor aiohttp has a public way to do that.
"""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET

import aiohttp

NO_LINGER = struct.pack("ii", 1, 0)
"""`struct linger`: on, for 0 s. The kernel then answers a close with a reset."""


def reset_connection(transport: asyncio.Transport) -> None:
    """Reset the connection: what the kernel has not delivered never will be."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, NO_LINGER)
    transport.abort()


def reset_dialled(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Reset the connection of a WebSocket that this side has dialled."""
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        reset_connection(connection.transport)
