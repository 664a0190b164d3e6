"""The real transport: WebSocket links between nodes, on the port that serves clients too.

A link carries the calls of one side and the answers of the other, so between two nodes there are two, each dialled by
the side that asks. That takes no tie-breaking when both dial at once, and what a node knows of a peer ("it answered
me") is its own evidence. Transfers have a link of their own, lest a client's request wait behind a megabyte of them.

Everything queued in one turn of the event loop leaves in one frame. A call that is not answered in time aborts its
link: it must not be executed long after its sender has given up on it. A peer that could not be reached is passed over
at once, not waited for once per request, and is tried again while anybody wants it.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from socket import SO_LINGER, SOL_SOCKET

import aiohttp
from aiohttp import web
from yarl import URL

import gossip.messages
from gossip.view import Address, BadAddress, Stamp, parse_address
from node.clock import HybridClock, Time
from node.config import Config
from node.errors import PeerFault, PeerLost, PeerRefused, RequestFault, StorageFault
from node.transport import Handler
from node.wire import (
    FRAME_BYTES_MAX,
    Answer,
    BadFrame,
    Call,
    CallFrame,
    Reply,
    ReplyFrame,
    Request,
    Unable,
    decode_calls,
    decode_replies,
    encode,
)

log = logging.getLogger(__name__)

PATH = "/peer"
CALLS_PER_FRAME = 256
"""Bounds a frame: values of up to 1 MiB travel alone, see `LARGE`."""
LARGE = 16 * 1024
PENDING_MAX = 10_000
"""Calls that wait on one link; beyond, a peer this slow is as good as gone."""
WANTED_S = 5.0
"""A peer that cannot be reached is tried again for so long after the last call to it; later, a call waits for the
attempt."""
CLOSE_S = 1.0
LINGER_NOT = struct.pack("ii", 1, 0)
HEARTBEAT_S = 10.0
"""A link whose other end fell silent without a word is closed within this by the side that answers on it."""


class Peers:
    """The links of one node. Needs a running event loop."""

    _clock: HybridClock
    _handler: Handler

    def __init__(self, config: Config, time: Time) -> None:
        self._config = config
        self._time = time
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=aiohttp.ClientTimeout(total=None)
        )
        self._links: dict[tuple[Address, bool], _Link] = {}
        self._served: set[_Served] = set()

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self._clock = clock
        self._handler = handler

    async def call(self, to: Address, request: Request, stamp: Stamp, timeout_s: float, bulk: bool = False) -> Answer:
        return await self._link(to, bulk).call(request, stamp, timeout_s)

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        self._link(to, False).cast(message)

    def is_down(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.down

    def reset(self) -> None:
        for link in self._links.values():
            link.abort(PeerLost("this node stood still"))
            link.down = False  # That was known before; who stood still must ask again.
        for served in self._served:
            served.abort()

    async def drain(self) -> None:
        """Answer what other nodes have asked already, and nothing more."""
        await asyncio.gather(*(served.drain() for served in self._served))

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links.values()))
        for served in list(self._served):
            served.abort()
        await self._session.close()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The HTTP handler of `PATH`: answers another node's calls for as long as its link lasts."""
        meant = request.query.get("to", "")
        try:
            sender = parse_address(request.query.get("from", ""))
        except BadAddress as error:
            raise RequestFault(str(error)) from None
        if meant != self._config.address:
            log.error("%s takes this node for %s; its ADDRESS is %s", sender, meant, self._config.address)
            raise web.HTTPMisdirectedRequest()
        for bulk in (False, True):
            if (link := self._links.get((sender, bulk))) is not None:
                link.down = False  # Who dials is up: whoever was passed over is asked again from now on.
        served = _Served(sender, self._clock, self._handler)
        self._served.add(served)
        try:
            return await served.run(request)
        finally:
            self._served.discard(served)

    def _link(self, to: Address, bulk: bool) -> _Link:
        link = self._links.get((to, bulk))
        if link is None:
            url = URL.build(scheme="http", authority=to, path=PATH, query={"from": self._config.address, "to": to})
            link = self._links[to, bulk] = _Link(self._session, url, self._time, self._clock, self._config)
        return link


class _Link:
    """The side that asks. One task dials and receives, another sends; both end with `close`."""

    def __init__(
        self, session: aiohttp.ClientSession, url: URL, time: Time, clock: HybridClock, config: Config
    ) -> None:
        self.down = False
        self._session = session
        self._url = url
        self._time = time
        self._clock = clock
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._calls: list[Call] = []
        self._casts: list[gossip.messages.Message] = []
        self._queued = asyncio.Event()
        self._last_id = 0
        self._wanted = asyncio.Event()
        self._wanted_at = 0.0
        self._task = self._loop.create_task(self._run())

    async def call(self, request: Request, stamp: Stamp, timeout_s: float) -> Answer:
        self._want()
        if self.down:
            raise PeerRefused(f"{self._url.authority} is down")
        if len(self._pending) >= PENDING_MAX:
            raise PeerRefused(f"{self._url.authority} is too slow")
        self._last_id += 1
        id_ = self._last_id
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._pending[id_] = answer
        self._calls.append(Call(id_, stamp, int(timeout_s * 1000), request))
        self._queued.set()
        timer = self._loop.call_later(timeout_s, self._expire, id_)
        try:
            return await answer
        finally:
            timer.cancel()
            self._pending.pop(id_, None)

    def cast(self, message: gossip.messages.Message) -> None:
        self._want()
        if not self.down and len(self._casts) < PENDING_MAX:
            self._casts.append(message)
            self._queued.set()

    def abort(self, fault: PeerFault) -> None:
        """Break the connection now. What was sent on it fails with `fault`; what was not, waits for the next one."""
        unsent = {call.id for call in self._calls}
        for id_, answer in self._pending.items():
            if id_ not in unsent and not answer.done():
                answer.set_exception(fault)
        if self._socket is not None:
            _abort(self._socket)
            self._socket = None

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        self._refuse("this node is stopping")

    def _refuse(self, why: str) -> None:
        """There is no connection to be had for what waits for one."""
        for call in self._calls:
            answer = self._pending.get(call.id)
            if answer is not None and not answer.done():
                answer.set_exception(PeerRefused(why))
        self._calls.clear()
        self._casts.clear()

    def _want(self) -> None:
        self._wanted_at = self._time.monotonic()
        self._wanted.set()

    def _expire(self, id_: int) -> None:
        if id_ in self._pending:
            self.down = True
            self._refuse(f"{self._url.authority} is silent")
            self.abort(PeerLost(f"{self._url.authority} is silent"))

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                async with asyncio.timeout(self._config.silence_s):
                    socket = await self._session.ws_connect(self._url, max_msg_size=FRAME_BYTES_MAX, autoclose=False)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.down = True
                self._refuse(f"{self._url.authority}: {str(error) or 'no connection in time'}")
                await asyncio.sleep(self._config.redial_s)
                if self._time.monotonic() - self._wanted_at > WANTED_S:
                    self.down = False
                    self._wanted.clear()
                continue
            self.down = False
            self._socket = socket
            self._queued.set()
            sender = self._loop.create_task(self._send(socket))
            try:
                await self._receive(socket)
            finally:
                self.abort(PeerLost(f"{self._url.authority} closed the link"))
                sender.cancel()
                await asyncio.wait([sender])

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await self._queued.wait()
                self._queued.clear()
                while self._socket is socket and (self._calls or self._casts):
                    calls = _take_frame(self._calls)
                    casts, self._casts = self._casts, []
                    await socket.send_bytes(encode(CallFrame(self._clock.reading, tuple(calls), tuple(casts))))
        except (aiohttp.ClientError, OSError):
            _abort(socket)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            try:
                frame = decode_replies(message.data)
            except BadFrame as error:
                log.error("garbage from %s: %s", self._url.authority, error)
                return
            self._clock.observe(frame.clock)
            for reply in frame.replies:
                answer = self._pending.get(reply.id)
                if answer is not None and not answer.done():
                    answer.set_result(reply.answer)


class _Served:
    """The side that answers. Ends with its connection; the answers still being worked out then are lost, not the
    work."""

    def __init__(self, sender: Address, clock: HybridClock, handler: Handler) -> None:
        self._sender = sender
        self._clock = clock
        self._handler = handler
        self._socket = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES_MAX, compress=False, heartbeat=HEARTBEAT_S, timeout=CLOSE_S
        )
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._replies: list[Reply] = []
        self._queued = asyncio.Event()
        self._closing = False
        self._abort: Callable[[], None] = lambda: None

    def abort(self) -> None:
        self._closing = True
        self._abort()

    async def drain(self) -> None:
        self._closing = True
        await self._all_answered.wait()
        await self._socket.close()

    async def run(self, request: web.Request) -> web.WebSocketResponse:
        socket = self._socket
        try:
            await socket.prepare(request)
            assert request.transport is not None
            self._abort = partial(_reset, request.transport)
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._send(socket))
                await self._receive(socket, tasks)
                sender.cancel()
        except* (ConnectionError, RuntimeError, aiohttp.ClientError) as faults:
            log.debug("link from %s broke: %s", self._sender, faults.exceptions)
        return socket

    async def _receive(self, socket: web.WebSocketResponse, tasks: asyncio.TaskGroup) -> None:
        async for message in socket:
            if self._closing or message.type is not aiohttp.WSMsgType.BINARY:
                return
            try:
                frame = decode_calls(message.data)
            except BadFrame as error:
                log.error("garbage from %s: %s", self._sender, error)
                self.abort()
                return
            self._clock.observe(frame.clock)
            for cast in frame.casts:
                self._handler.hear(self._sender, cast)
            for call in frame.calls:
                self._unanswered += 1
                self._all_answered.clear()
                answer = self._handler.answer(self._sender, call.stamp, call.budget_ms / 1000, call.request)
                if isinstance(answer, Awaitable):
                    tasks.create_task(self._reply_later(call.id, answer))
                else:
                    self._reply(call.id, answer)

    async def _reply_later(self, id_: int, answer: Awaitable[Answer]) -> None:
        try:
            self._reply(id_, await answer)
        except StorageFault as fault:
            log.error("a call of %s: %s", self._sender, fault)
            self._reply(id_, Unable())

    def _reply(self, id_: int, answer: Answer) -> None:
        self._replies.append(Reply(id_, answer))
        self._queued.set()

    async def _send(self, socket: web.WebSocketResponse) -> None:
        while True:
            await self._queued.wait()
            self._queued.clear()
            while self._replies:
                replies, self._replies = self._replies[:CALLS_PER_FRAME], self._replies[CALLS_PER_FRAME:]
                await socket.send_bytes(encode(ReplyFrame(self._clock.reading, tuple(replies))))
                self._unanswered -= len(replies)
                if not self._unanswered:
                    self._all_answered.set()


def _take_frame(calls: list[Call]) -> list[Call]:
    """Remove from the front of `calls` what may travel in one frame."""
    count = 0
    for call in calls[:CALLS_PER_FRAME]:
        count += 1
        value = getattr(call.request, "value", None)
        if value is not None and len(value) > LARGE:
            break
    frame = calls[:count]
    del calls[:count]
    return frame


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    """aiohttp has no public way to do this."""
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        _reset(connection.transport)


def _reset(transport: asyncio.Transport) -> None:
    """Reset the connection: what the kernel has not delivered never will be. Merely closed, it would be delivered
    yet."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, LINGER_NOT)
    transport.abort()
