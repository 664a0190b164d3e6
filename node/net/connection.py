"""What both sides of a link know about its connection: where it is dialled, and how it is broken.

What a node has given up on must not be executed later. If a connection is merely closed, the kernel goes on sending
what waits in its buffers, and the peer executes it after all. If it is reset, what was not delivered yet is lost.
Neither asyncio nor aiohttp has a public way to do that.
"""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET

import aiohttp
from yarl import URL

from gossip.view import Address

PATH = "/peer"

NO_LINGER = struct.pack("ii", 1, 0)
"""`struct linger`: on, for 0 s. The kernel then answers a close with a reset."""


def url_of(peer: Address, sender: Address) -> URL:
    """Where `sender` dials `peer`: it says who dials, and whom it means."""
    return URL.build(scheme="http", authority=peer, path=PATH, query={"from": sender, "to": peer})


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
