"""How late is what a client has sent? A request whose sender may have given up on it is not executed.

A client that gets no answer within 2 s does the same elsewhere, and others may write after it. If the first attempt
were executed then, it would be stamped last, and win. So its connection is reset. There are two ways to notice. Both
are asked about whatever arrives, as soon as it does and before it is looked at, and again about what had to wait before
it was handed to aiohttp:

- After a long pause of the process, until it has asked around, whatever arrives may be old; see `views.readiness`.
- Linux tells when it received the bytes of a write. On a machine that is short of processors, they may have waited for
  long although the process was never paused. The question takes a tenth of the time of a write, so it is put only if
  the turns of the loop leave it open: after a long one, or about a connection that has not been read for long.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from node.api.batch_lines import BATCH
from node.api.data import KEYS
from node.net.handshake import PATH
from node.timing.turns import Turns
from node.views.readiness import Readiness

_LINK = f"GET {PATH}?".encode()
_WRITES = (f"PUT {KEYS}".encode(), f"DELETE {KEYS}".encode(), f"POST {BATCH}".encode())
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
_LAST_DATA_RECEIVED = struct.Struct("=52xI")
"""`tcpi_last_data_recv`, in ms, within `struct tcp_info` of linux/tcp.h."""


class Inlet:
    """A connection whose bytes are read as they arrive, from `resume` on (monotonic, `now`) or since it was made."""

    __slots__ = ("read_since", "socket")

    def __init__(self, transport: asyncio.BaseTransport, now: float) -> None:
        self.socket: socket.socket | None = transport.get_extra_info("socket")
        self.read_since = now

    def resume(self, now: float) -> None:
        """It was not read for a while."""
        self.read_since = now


class Staleness:
    """`late_s`: what was sent earlier than that is not executed."""

    def __init__(self, readiness: Readiness, turns: Turns, monotonic: Callable[[], float], late_s: float) -> None:
        self._readiness = readiness
        self._turns = turns
        self._late_s = late_s
        self.now = monotonic

    def inlet(self, transport: asyncio.BaseTransport) -> Inlet:
        """Of a connection that is read from now on."""
        return Inlet(transport, self.now())

    def admit(self, start: bytes, inlet: Inlet) -> bool:
        """Notice a pause of this process, and tell whether what begins with `start`, read from `inlet`, is a link, or
        recent enough to be executed."""
        return self.admit_more(start, inlet) or is_link(start)

    def admit_more(self, data: bytes, inlet: Inlet) -> bool:
        """The same about `data` that may be the middle of a request, and so is no link whatever it looks like."""
        return self._readiness.admit() and not (data.startswith(_WRITES) and self._is_late(inlet))

    def _is_late(self, inlet: Inlet) -> bool:
        """Whether what was just read had waited for too long."""
        until = self._turns.delivered_until
        if inlet.read_since < until and self.now() - until <= self._late_s:
            return False
        return _age_s(inlet.socket) > self._late_s


def is_link(start: bytes) -> bool:
    """Whether another node has dialled what begins like this: links have a rule of their own."""
    return start.startswith(_LINK)


def _age_s(connection: socket.socket | None) -> float:
    """How long ago the kernel received the last bytes; 0 where it does not tell."""
    if _TCP_INFO is None or connection is None:
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_DATA_RECEIVED.size)
        age_ms: int = _LAST_DATA_RECEIVED.unpack(info)[0]
    except (OSError, struct.error):
        return 0.0
    return age_ms / 1000
