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
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any, Protocol, cast

from node.api.admission import Admission, Dropped, Visit
from node.api.answers import HttpAnswer, render_error
from node.api.data import DataApi, PathKey
from node.api.doors import Doors
from node.api.entrance import Entrance
from node.api.plain_request import PlainRequest, parse
from node.api.request_log import RequestLog
from node.api.staleness import Staleness
from node.api.tally import Tally
from node.api.wire import as_sent
from node.errors import Reason, Unavailable
from node.net.handshake import PATH
from node.operations.put import Put

log = logging.getLogger(__name__)

AHEAD_BYTES_MAX = 64 * 1024
"""How much a client may send ahead of its answers; then nothing more is read until they are given."""
ANSWERED_A_TURN = 32
"""Of what one client has sent ahead, before it goes on by the turnstile: a thousand requests fit into that, and were
they answered in one go, everybody else would wait for as long as they take."""
SWEEPS = 4
"""So many looks for idle connections fall into the time after which one is closed."""

_BY_NODES = b"GET %b" % PATH.encode()
"""How a connection begins that another node has dialled."""
_FOR_HEALTH = (b"GET /livez", b"GET /readyz", b"GET /metrics")
"""How one begins that is answered, once, even if there is no room."""


class Successor(Protocol):
    """The protocol of a connection that is not for the short way."""

    def take_over(
        self,
        transport: asyncio.Transport,
        start: bytes,
        is_all: bool,
        visit: Visit | None = None,
        is_last: bool = False,
    ) -> None:
        """Serve this connection from here on, beginning with `start`, which has been admitted. `is_all`: its client
        sends no more. `visit` ends with the connection. `is_last`: the first request is its last."""


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
        admission: Admission,
        doors: Doors | None = None,
    ) -> None:
        self.api = api
        self.note = tally.note_key
        self.requests = requests
        self.staleness = staleness
        self.successor = successor
        self.keepalive_s = keepalive_s
        self.doors = doors
        self.admission = admission
        self.loop = asyncio.get_running_loop()
        self.connections: dict[_Connection, None] = {}
        """The oldest first."""
        self.entrance = Entrance(admission, descriptors, self.loop.time)
        self.under_way: set[asyncio.Future[Any]] = set()
        """What requests wait for."""
        self._sweep = self.loop.call_later(keepalive_s / SWEEPS, self._close_idle)

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self)

    async def close(self) -> None:
        """Begin no further requests, and return when those under way are answered."""
        self._sweep.cancel()
        await asyncio.sleep(0)  # So that connections that were accepted a moment ago are known.
        for connection in list(self.connections):
            connection.end()
        while self.under_way:
            await asyncio.wait(self.under_way)

    def _close_idle(self) -> None:
        self._sweep = self.loop.call_later(self.keepalive_s / SWEEPS, self._close_idle)
        self.entrance.sweep()
        for connection in list(self.connections):
            connection.sweep()


class _Connection(asyncio.Protocol):
    """One client. At any time, either one request is being worked on, or there is nothing to do."""

    def __init__(self, front: FastPath) -> None:
        self._front = front
        self._ahead = b""
        """What has arrived and has not been looked at."""
        self._at_work: asyncio.Future[Any] | None = None
        """The request being worked on."""
        self._goes_on = False
        """What has arrived is looked at further in the next turn."""
        self._writable = True
        self._reading = True
        self._ending = False
        self._is_all = False
        """The client sends no more, but may wait for answers."""
        self._held = 0
        """Bytes sent ahead, or not read, that count as taken."""
        self.swept = 0
        """How many sweeps there were since the last answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._inlet = self._front.staleness.inlet(transport)
        self._is_encrypted = self._transport.get_extra_info("sslcontext") is not None
        self._visit = self._front.entrance.admit(self._transport, self._front.connections)
        self._is_on_probation = self._visit is None
        if self._is_on_probation:
            self._front.entrance.put_on_probation(self, self._transport)
        self._front.connections[self] = None

    @property
    def is_idle(self) -> bool:
        """Whether its client waits for nothing."""
        return not self._at_work and not self._ahead

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        self._front.connections.pop(self, None)
        self._front.entrance.has_spoken(self)
        self._writable = self._reading = True
        self._count_held()
        if self._visit is not None:
            self._visit.leave()

    def pause_writing(self) -> None:
        self._writable = False
        self._count_held()

    def resume_writing(self) -> None:
        self._writable = True
        self._count_held()
        self._serve(has_waited=True)

    def _count_held(self) -> None:
        """What this client has not read, and what it has sent ahead. If all clients together hold too much, this one is
        given up."""
        unread = 0 if self._writable else self._transport.get_write_buffer_size()
        held = unread + (0 if self._reading else len(self._ahead))
        admission = self._front.admission
        admission.memory.used += held - self._held
        self._held = held
        if held and not admission.memory.has(0):
            admission.refuse(admission.memory)
            self._transport.abort()

    def sweep(self) -> None:
        """Close it if it was idle for long; a client that has taken nothing all that time is not waited for."""
        self.swept += 1
        if self.swept > SWEEPS:
            self.end()
        if self.swept > SWEEPS + 1 or (self.swept > 1 and not self._writable):
            self.drop(Dropped.SLOW_READER)

    def drop(self, why: Dropped) -> None:
        self._front.admission.dropped[why] += 1
        self._front.entrance.has_spoken(self)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._front.staleness.admit(data, self._inlet):
            self._transport.abort()
            return
        if self._is_on_probation and not self._is_excepted(data):
            return
        self._ahead = self._ahead + data if self._ahead else data
        if not self._at_work and not self._goes_on:
            self._serve(has_waited=False)
        if len(self._ahead) > AHEAD_BYTES_MAX and self._reading and not self._ending:
            self._reading = False
            self._transport.pause_reading()
            self._count_held()

    def _is_excepted(self, data: bytes) -> bool:
        """Whether it is a node that begins so, though there is no room for clients. If not, it is told so; but who asks
        for health is answered, once."""
        self._is_on_probation = False
        self._front.entrance.has_spoken(self)
        if data.startswith(_BY_NODES):
            return True
        if data.startswith(_FOR_HEALTH):
            self._hand_over(data, has_waited=False, is_last=True)
        else:
            self._write(
                render_error("GET", "", Unavailable("Too many clients").because(Reason.CLIENTS).before_anything())
            )
            self._transport.close()
        return False

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
        """Answer what has arrived, up to the first request that takes time, or as many as there may be in one turn.
        `has_waited`: since an earlier turn of the loop, until the requests before it were answered."""
        data, done, room = self._ahead, 0, ANSWERED_A_TURN
        while done < len(data) and self._writable and not self._at_work and not self._ending:
            if not room:
                self._go_on_soon()
                break
            room -= 1
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
                if answer is None:
                    answer = self._begin(request, key, began)
            except Exception as error:
                answer = self._noted(request, render_error(request.method, request.path, error), 0.0)
            if answer is not None:
                self._front.note(request.method, answer, perf_counter() - began)
                self._write(answer)
        self._ahead = data[done:]
        if self._is_all and not self._ahead:
            self.end()
        if not self._reading and len(self._ahead) <= AHEAD_BYTES_MAX:
            self._reading = True
            self._count_held()
            self._inlet.resume(self._front.staleness.now())
            self._transport.resume_reading()

    def _go_on_soon(self) -> None:
        if not self._goes_on:
            self._goes_on = True
            self._front.admission.turnstile.wait(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        self._serve(has_waited=True)

    def _begin(self, request: PlainRequest, key: PathKey, began: float) -> HttpAnswer | None:
        """Have it worked on; or the answer, if there is no room for it."""
        front, size = self._front, len(request.body)
        if (refusal := front.admission.begin(request.method, size)) is not None:
            return refusal
        try:
            put = front.api.begin_put(request.method, key, request.body, request.given)
        except Exception:
            front.admission.end(size)
            raise
        if put is None:
            self._work_on(request, began, front.api.answer(request.method, key, request.body, request.given))
        else:
            self._wait(put.stored, partial(self._go_on_with, request, began, put))
        return None

    def _wait(self, work: asyncio.Future[Any], go_on: Callable[[asyncio.Future[Any]], object]) -> None:
        self._at_work = work
        self._front.under_way.add(work)
        work.add_done_callback(go_on)

    def _go_on_with(self, request: PlainRequest, began: float, put: Put, done: asyncio.Future[Any]) -> None:
        """It is stored, or copied: wait for the next step, or answer."""
        api, copied, answer = self._front.api, None, None
        try:
            copied = api.await_copies(put) if done is put.stored else None
            answer = api.end_put(put) if copied is None else None
        except Exception as error:
            answer = render_error(request.method, request.path, error)
        self._front.under_way.discard(done)
        if copied is not None:
            self._wait(copied, partial(self._go_on_with, request, began, put))
        elif answer is None:
            self._work_on(request, began, api.go_on(put))
        else:
            self._end_work(request, began, answer)

    def _work_on(self, request: PlainRequest, began: float, answering: Awaitable[HttpAnswer]) -> None:
        self._at_work = self._front.loop.create_task(self._work(request, began, answering))
        self._front.under_way.add(self._at_work)

    async def _work(self, request: PlainRequest, began: float, answering: Awaitable[HttpAnswer]) -> None:
        try:
            answer = await answering
        except Exception as error:
            answer = render_error(request.method, request.path, error)
        self._end_work(request, began, answer)

    def _end_work(self, request: PlainRequest, began: float, answer: HttpAnswer) -> None:
        """What was worked on is answered; go on with what came after it."""
        self._front.admission.end(len(request.body))
        took_s = perf_counter() - began
        answer = self._noted(request, answer, took_s)
        assert self._at_work is not None
        self._front.under_way.discard(self._at_work)
        self._at_work = None
        self._front.note(request.method, answer, took_s)
        self._write(answer)
        if self._ending:
            self._transport.close()
        elif self._ahead or self._is_all or not self._reading:
            self._serve(has_waited=True)

    def _noted(self, request: PlainRequest, answer: HttpAnswer, took_s: float) -> HttpAnswer:
        """The answer, which is logged if that is worth it."""
        if self._front.requests.is_worth_it(answer.status, took_s):
            return self._front.requests.noted(request.method, request.path, answer, took_s)
        return answer

    def _write(self, answer: HttpAnswer) -> None:
        self.swept = 0
        if not self._transport.is_closing():
            self._transport.write(as_sent(answer))

    def _hand_over(self, data: bytes, has_waited: bool, is_last: bool = False) -> None:
        """From here on, this connection is aiohttp's, beginning with `data`, unless that has become too old while it
        waited. `is_last`: it is answered once."""
        self._ahead = b""
        self._front.connections.pop(self, None)
        self._ending = True
        if not self._reading:
            self._reading = True
            self._count_held()
            self._transport.resume_reading()
        staleness = self._front.staleness
        if has_waited and not staleness.admit(data, staleness.inlet(self._transport)):
            self._transport.abort()
            return
        successor = self._front.successor()
        self._transport.set_protocol(cast(asyncio.Protocol, successor))
        successor.take_over(self._transport, data, self._is_all, self._visit, is_last)
