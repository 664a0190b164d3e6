"""The short way in: whole, ordinary requests for keys are answered right where their bytes arrive.

aiohttp takes some 60 us to make a request object, route it, run it as a task and write an answer: several times as long
as the store takes for the rest. So each connection begins here. As long as a client sends nothing but whole requests of
the plain kind (one of three methods, a key without oddities, headers that change nothing), they are answered without
aiohttp, in their order, whether they come one by one or many at once. With the first bytes that are anything else
(another path, a part of a request, `Expect`, a chunked body, an upgrade, garbage), the connection is given to an
aiohttp protocol, together with those bytes, and stays there for the rest of its life. So all that this module must know
about HTTP is what it can handle itself.

No rule of the interface stands here: both ways, `data` decides the answer. Must not import the store nor the router.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter, time
from typing import Protocol, cast

from aiohttp.http import SERVER_SOFTWARE

from node.api.answers import NOT_MODIFIED, HttpAnswer, render_error
from node.api.conditions import etag_of
from node.api.data import DataApi, PathKey
from node.api.doors import Doors
from node.api.plain_request import PlainRequest, parse
from node.api.request_log import RequestLog
from node.api.staleness import Staleness
from node.api.tally import Tally
from node.errors import Reason, Unavailable
from node.net.handshake import PATH

log = logging.getLogger(__name__)

AHEAD_BYTES_MAX = 64 * 1024
"""How much a client may send ahead of its answers; then nothing more is read until they are given."""
SAY_EVERY_S = 60.0
"""That there are not enough descriptors is logged no more often."""
SWEEPS = 4
"""So many looks for idle connections fall into the time after which one is closed."""

_BY_NODES = b"GET %b" % PATH.encode()
"""How a connection begins that another node has dialled."""
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n".encode()
    for status in HTTPStatus
}


class Successor(Protocol):
    """The protocol of a connection that is not for the short way."""

    def take_over(self, transport: asyncio.Transport, start: bytes, is_all: bool) -> None:
        """Serve this connection from here on, beginning with `start`, which has been admitted. `is_all`: its client
        sends no more."""


class FastPath:
    """Makes the protocol of each connection, and ends them all. `successor` makes the one that takes over what is not
    for this one. `descriptors`: clients get numbers below this, and other nodes the rest. `doors`: None: anybody may do
    anything."""

    def __init__(
        self,
        api: DataApi,
        staleness: Staleness,
        successor: Callable[[], Successor],
        keepalive_s: float,
        descriptors: int,
        tally: Tally,
        requests: RequestLog,
        doors: Doors | None = None,
    ) -> None:
        self.api = api
        self.note = tally.note_key
        self.requests = requests
        self.staleness = staleness
        self.successor = successor
        self.keepalive_s = keepalive_s
        self.doors = doors
        self.loop = asyncio.get_running_loop()
        self.connections: set[_Connection] = set()
        self._descriptors = descriptors
        self._said_at = float("-inf")
        """When it was last logged that there are not enough."""
        self.tasks: set[asyncio.Task[None]] = set()
        self._sweep = self.loop.call_later(keepalive_s / SWEEPS, self._close_idle)

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self)

    async def close(self) -> None:
        """Begin no further requests, and return when those under way are answered."""
        self._sweep.cancel()
        await asyncio.sleep(0)  # So that connections that were accepted a moment ago are known.
        for connection in list(self.connections):
            connection.end()
        if self.tasks:
            await asyncio.wait(self.tasks)

    def has_room_for(self, transport: asyncio.Transport) -> bool:
        """Whether a client may have this new connection: not if its descriptor is one of those that are kept for other
        nodes, unless one that has been idle for long makes room."""
        number: int = transport.get_extra_info("socket").fileno()
        if number < self._descriptors:
            return True
        if self.loop.time() - self._said_at > SAY_EVERY_S:
            self._said_at = self.loop.time()
            log.warning("clients have all %d descriptors that they may have: raise 'ulimit -n'", self._descriptors)
        idle = [connection for connection in self.connections if connection.is_idle]
        if idle:
            max(idle, key=lambda connection: connection.swept).end()
        return bool(idle)

    def _close_idle(self) -> None:
        self._sweep = self.loop.call_later(self.keepalive_s / SWEEPS, self._close_idle)
        for connection in list(self.connections):
            connection.swept += 1
            if connection.swept > SWEEPS:
                connection.end()


class _Connection(asyncio.Protocol):
    """One client. At any time, either one request is being worked on, or there is nothing to do."""

    def __init__(self, front: FastPath) -> None:
        self._front = front
        self._ahead = b""
        """What has arrived and has not been looked at."""
        self._at_work: asyncio.Task[None] | None = None
        """The request being worked on."""
        self._writable = True
        self._reading = True
        self._ending = False
        self._is_all = False
        """The client sends no more, but may wait for answers."""
        self.swept = 0
        """How many sweeps there were since the last answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._inlet = self._front.staleness.inlet(transport)
        self._is_encrypted = self._transport.get_extra_info("sslcontext") is not None
        self._is_for_nodes = not self._front.has_room_for(self._transport)
        self._front.connections.add(self)

    @property
    def is_idle(self) -> bool:
        """Whether its client waits for nothing."""
        return not self._at_work and not self._ahead

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        self._front.connections.discard(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._serve(has_waited=True)

    def data_received(self, data: bytes) -> None:
        if not self._front.staleness.admit(data, self._inlet):
            self._transport.abort()
            return
        if self._is_for_nodes:
            self._is_for_nodes = False
            if not data.startswith(_BY_NODES):
                self._write(render_error("GET", "", Unavailable("Too many clients").because(Reason.CLIENTS)))
                self._transport.close()
                return
        self._ahead = self._ahead + data if self._ahead else data
        if not self._at_work:
            self._serve(has_waited=False)
        if len(self._ahead) > AHEAD_BYTES_MAX and self._reading and not self._ending:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more. True: it has yet to be answered; the connection ends once it is. Within TLS, this
        is the end of both directions."""
        self._is_all = True
        return bool(self._at_work or self._ahead) and not self._is_encrypted

    def end(self) -> None:
        """Close as soon as the request being worked on is answered, or at once if there is none."""
        self._ending = True
        if not self._at_work:
            self._transport.close()

    def _serve(self, has_waited: bool) -> None:
        """Answer what has arrived, up to the first request that takes time. `has_waited`: since an earlier turn of the
        loop, until the requests before it were answered."""
        data, done = self._ahead, 0
        while done < len(data) and self._writable and not self._at_work and not self._ending:
            request = parse(data, done)
            if request is None:
                self._hand_over(data[done:], has_waited)
                return
            done = request.end
            began, doors = perf_counter(), self._front.doors
            if doors and (refusal := doors.refuse_for_key(request.method, request.authorization)):
                self._front.note(request.method, refusal, 0.0)
                self._write(refusal)
                continue
            key = PathKey.from_encoded(request.encoded_key)
            try:
                answer = self._front.api.answer_here(request.method, key, request.body, request.given)
            except Exception as error:
                answer = render_error(request.method, request.path, error)
                answer = self._front.requests.noted(request.method, request.path, answer, 0.0)
            if answer is None:
                self._at_work = self._front.loop.create_task(self._work(request, key, began))
                self._front.tasks.add(self._at_work)
            else:
                self._front.note(request.method, answer, perf_counter() - began)
                self._write(answer)
        self._ahead = data[done:]
        if self._is_all and not self._ahead:
            self.end()
        if not self._reading and len(self._ahead) <= AHEAD_BYTES_MAX:
            self._reading = True
            self._inlet.resume(self._front.staleness.now())
            self._transport.resume_reading()

    async def _work(self, request: PlainRequest, key: PathKey, began: float) -> None:
        try:
            answer = await self._front.api.answer(request.method, key, request.body, request.given)
        except Exception as error:
            answer = render_error(request.method, request.path, error)
        took_s = perf_counter() - began
        if self._front.requests.is_worth_it(answer.status, took_s):
            answer = self._front.requests.noted(request.method, request.path, answer, took_s)
        assert self._at_work is not None
        self._front.tasks.discard(self._at_work)
        self._at_work = None
        self._front.note(request.method, answer, took_s)
        self._write(answer)
        if self._ending:
            self._transport.close()
            return
        if self._ahead or self._is_all or not self._reading:
            self._serve(has_waited=True)

    def _write(self, answer: HttpAnswer) -> None:
        self.swept = 0
        if not self._transport.is_closing():
            self._transport.write(as_sent(answer))

    def _hand_over(self, data: bytes, has_waited: bool) -> None:
        """From here on, this connection is aiohttp's, beginning with `data`, unless that has become too old while it
        waited."""
        self._ahead = b""
        self._front.connections.discard(self)
        self._ending = True
        if not self._reading:
            self._transport.resume_reading()
        staleness = self._front.staleness
        if has_waited and not staleness.admit(data, staleness.inlet(self._transport)):
            self._transport.abort()
            return
        successor = self._front.successor()
        self._transport.set_protocol(cast(asyncio.Protocol, successor))
        successor.take_over(self._transport, data, self._is_all)


def as_sent(answer: HttpAnswer) -> bytes:
    """The bytes that aiohttp would send for it."""
    more = b""
    if answer.version is not None:
        more = b"ETag: %b\r\n" % etag_of(answer.version)
    if answer.headers:
        more += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items()).encode()
    if answer.status == NOT_MODIFIED:
        return b"HTTP/1.1 304 Not Modified\r\n%b%b" % (more, _date_and_server(int(time())))
    return b"%b%bContent-Length: %d\r\n%b%b" % (
        _STATUS_LINES[answer.status],
        more,
        len(answer.body),
        _date_and_server(int(time())),
        answer.body,
    )


@lru_cache(1)
def _date_and_server(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n".encode()
