"""Is a client that sends no more still there to be answered?

Whoever closes one direction of a connection (`nc -N`, Go's CloseWrite) looks like one that has gone: all that arrives
is the end of what it sends. So it is answered as if it were there. A request for a key is answered within 2 s; but one
for a view change waits as long as keys move, and clients that have gone would pile up behind it. So, before it waits
for long, it is sent an interim answer, which a client must expect at any time (RFC 9110, 15.2). The machine of one that
has gone refuses it.
"""

from __future__ import annotations

import socket

from aiohttp import HttpVersion11, web

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The one that each client knows."""


class Presence:
    """Of the client of one request, which has not been answered yet."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._is_asked = False

    def has_left(self) -> bool:
        """Whether the client is known to have gone; at first that of one that sends no more is only being found out. A
        client of HTTP/1.0 knows no interim answers, and counts as gone once it sends no more."""
        transport = self._request.transport
        if transport is None:
            return True
        if not self._is_asked and getattr(self._request.protocol, "sends_no_more", False):
            if self._request.version < HttpVersion11:
                return True
            transport.write(INTERIM)
            self._is_asked = True
        failed: int = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return failed != 0
