"""Is a client that sends no more still there to be answered?

Whoever closes one direction of a connection (`nc -N`, Go's CloseWrite) looks like one that has gone: all that arrives
is the end of what it sends. So it is answered as if it were there. A request for a key is answered within 2 s; but one
for a view change waits as long as keys move, and clients that have gone would pile up behind it. The kernel finds out
which they are: their machine refuses its keepalives.
"""

from __future__ import annotations

import asyncio
import socket

KEEPALIVE_S = 10
"""Between two keepalives; the system of a client that has gone forgets the connection after a minute or so, and refuses
the next one."""
KEEPALIVES_LOST = 3
"""After so many without an answer, the machine of the client counts as gone."""


def watch(transport: asyncio.BaseTransport) -> None:
    """Have the kernel find out whether the client that sends no more is there."""
    connection = transport.get_extra_info("socket")
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_S),
        ("TCP_KEEPCNT", KEEPALIVES_LOST),
    ):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def has_left(transport: asyncio.BaseTransport | None) -> bool:
    """Whether a client is known to have gone. `transport`: None once its connection is closed."""
    if transport is None:
        return True
    failed: int = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return failed != 0
