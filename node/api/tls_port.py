"""The port of a node that speaks TLS: from a connection that comes in to one on which both sides agree.

Connections are accepted here, and not by the loop's own server, for three reasons. Each gets the certificates that are
in force when it comes, so that new ones need no restart, and old connections go on. What begins as HTTP in the clear is
told so, where OpenSSL would break off without a word. And a handshake takes a millisecond or more of signing: if a
thousand clients came back in one turn of the loop, the node would stand still for seconds, and give up its leases; so
in each turn only some begin, from one network after the other, see `crowd`.

Who says nothing, or does not end its handshake, has `tls_handshake_s`, and is dropped; so is the oldest of these where
there are too many, since whoever means it is done in a moment. Must not know what is spoken inside.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import cast

from node.api.admission import network_of
from node.api.answers import render_fault
from node.api.crowd import Crowd
from node.api.tally import NoHandshake, Tally
from node.api.wire import as_sent
from node.certificates import Certificates
from node.config import Config
from node.errors import RequestFault
from node.net.peer_certificates import TLS_HEADER, TLS_ONLY
from node.state_log import FewLines

log = logging.getLogger(__name__)

ACCEPTED_A_TURN = 16
"""A millisecond's work or two: whoever dials as fast as it can leaves the rest of each turn to others."""
HANDSHAKES_A_TURN = 2
"""Some milliseconds' work, with a key of RSA."""
HALF_OPEN_MAX = 1024
"""So many may have said nothing, as many may wait for their handshake, and as many be within it, which takes some 50
KiB."""
REST_S = 1.0
"""After the system had no descriptor left for a connection, none is accepted for so long."""
SAID_MAX = 256
"""Hosts that are remembered as having been refused, and why."""

_HANDSHAKE = b"\x16"
"""The first byte of whoever speaks TLS."""
_METHOD = re.compile(rb"([A-Z]{1,16}) ")


class SpeaksHttps(RequestFault):
    headers: Mapping[str, str] = {TLS_HEADER: TLS_ONLY, "Connection": "close"}


class TlsPort:
    """`front` makes the protocol of each connection, once it is encrypted. Needs a running event loop."""

    def __init__(
        self,
        front: Callable[[], asyncio.Protocol],
        certificates: Certificates,
        config: Config,
        tally: Tally,
        descriptors: int,
    ) -> None:
        """`descriptors`: those from here on are kept for other nodes."""
        self._descriptors = descriptors
        self._loop = asyncio.get_running_loop()
        self._front = front
        self._certificates = certificates
        self._config = config
        self._failed = tally.handshakes_failed
        self._listening: list[socket.socket] = []
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        """Those that have said nothing, and when that ends."""
        self._speaking = Crowd[socket.socket](HALF_OPEN_MAX)
        """Those whose handshake is to begin."""
        self._is_beginning = False
        self._tasks: dict[asyncio.Task[None], None] = {}
        """The oldest first."""
        self._said: dict[str, str] = {}
        self._lines = FewLines(self._loop.time)

    def listen(self, bound: socket.socket) -> None:
        """`bound` listens already."""
        bound.setblocking(False)
        self._listening.append(bound)
        self._loop.add_reader(bound, self._accept, bound)

    def close(self) -> None:
        """Accept no more, and leave those alone with whom nothing is agreed yet."""
        for bound in self._listening:
            self._loop.remove_reader(bound)
            bound.close()
        self._listening.clear()
        for connection in list(self._silent):
            self._listen_no_more(connection)
            connection.close()
        while self._speaking:
            self._speaking.take().close()
        for task in self._tasks:
            task.cancel()

    # Whoever comes in

    def _accept(self, bound: socket.socket) -> None:
        for _ in range(ACCEPTED_A_TURN):
            try:
                connection, _address = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("no more connections for a moment: %s", error.strerror)
                self._loop.remove_reader(bound)
                self._loop.call_later(REST_S, self._go_on, bound)
                return
            connection.setblocking(False)
            if len(self._silent) >= HALF_OPEN_MAX or connection.fileno() >= self._descriptors:
                self._drop_oldest()
            timer = self._loop.call_later(self._config.tls_handshake_s, self._give_up, connection)
            self._silent[connection] = timer
            self._loop.add_reader(connection, self._hear, connection)

    def _go_on(self, bound: socket.socket) -> None:
        if bound in self._listening:
            self._loop.add_reader(bound, self._accept, bound)

    def _give_up(self, connection: socket.socket) -> None:
        self._failed[NoHandshake.TIMEOUT] += 1
        self._listen_no_more(connection)
        connection.close()

    def _listen_no_more(self, connection: socket.socket) -> None:
        self._silent.pop(connection).cancel()
        self._loop.remove_reader(connection)

    def _hear(self, connection: socket.socket) -> None:
        """It has said something, or gone; what that is stays where it is, for whoever is next."""
        try:
            first = connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        self._listen_no_more(connection)
        if first == _HANDSHAKE:
            if (gone := self._speaking.add(connection, network_of(_host_of(connection)))) is not None:
                self._failed[NoHandshake.TIMEOUT] += 1
                gone.close()
            self._begin_soon()
        elif first:
            self._failed[NoHandshake.IN_THE_CLEAR] += 1
            self._start(self._refuse(connection))
        else:
            connection.close()

    # Handshakes

    def _begin_soon(self) -> None:
        if self._speaking and not self._is_beginning:
            self._is_beginning = True
            self._loop.call_soon(self._begin_some)

    def _begin_some(self) -> None:
        self._is_beginning = False
        for _ in range(min(HANDSHAKES_A_TURN, len(self._speaking))):
            self._start(self._shake_hands(self._speaking.take()))
        self._begin_soon()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        if len(self._tasks) >= HALF_OPEN_MAX:
            self._cancel_oldest()
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._has_ended)

    def _drop_oldest(self) -> None:
        """Of those with whom nothing is agreed yet, if there are any."""
        if self._silent:
            self._give_up(next(iter(self._silent)))
        elif self._tasks:
            self._cancel_oldest()

    def _cancel_oldest(self) -> None:
        oldest = next(iter(self._tasks))
        del self._tasks[oldest]
        oldest.cancel()

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            self._failed[NoHandshake.TIMEOUT] += 1

    async def _shake_hands(self, connection: socket.socket) -> None:
        host = _host_of(connection)
        try:
            await self._loop.connect_accepted_socket(
                self._front,
                connection,
                ssl=self._certificates.now.server,
                ssl_handshake_timeout=self._config.tls_handshake_s,
                ssl_shutdown_timeout=self._config.tls_farewell_s,
            )
        except ssl.SSLCertVerificationError as error:
            self._failed[NoHandshake.CERTIFICATE] += 1
            self._say(host, f"its certificate is not accepted: {error.verify_message.rstrip('.')}")
        except ConnectionAbortedError:
            self._failed[NoHandshake.TIMEOUT] += 1
        except OSError as error:
            self._failed[NoHandshake.OTHER] += 1
            log.debug("no TLS with %s: %s", host, error)

    def _say(self, host: str, why: str) -> None:
        """Once for each host and reason: who is refused comes again and again, and may have another reason each
        time."""
        if self._said.get(host) == why or not self._lines.is_due():
            return
        if len(self._said) >= SAID_MAX:
            del self._said[next(iter(self._said))]
        self._said[host] = why
        log.error("a connection from %s is turned away: %s%s", host, why, self._lines.rest())

    async def _refuse(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: _InTheClear(self._config), connection)
        except OSError as error:
            log.debug("nobody is left to refuse: %s", error)


def _host_of(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return "nobody"


class _InTheClear(asyncio.Protocol):
    """Tells whoever speaks HTTP in the clear what would be right."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._is_told = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        asyncio.get_running_loop().call_later(self._config.tls_farewell_s, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """The rest is taken, and dropped: with that unread, the kernel would take back the answer too."""
        if self._is_told:
            return
        self._is_told = True
        method = _METHOD.match(data)
        fault = SpeaksHttps(f"This node speaks HTTPS: ask https://{self._config.address}")
        self._transport.write(as_sent(render_fault(method[1].decode() if method else "GET", fault)))
        self._transport.write_eof()
