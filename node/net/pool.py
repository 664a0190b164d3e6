"""The real transport: WebSocket links between nodes, on the port that serves clients too.

A link carries the calls of one side and the answers of the other, so between two nodes there are two, each dialled by
the side that asks. That takes no tie-breaking when both dial at once, and what a node knows of a peer ("it answered
me") is its own evidence. Transfers have a link of their own, lest a client's request wait behind a megabyte of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp
from aiohttp import web
from yarl import URL

import gossip.messages
from gossip.view import Address, BadAddress, ViewId, parse_address
from node.config import Config
from node.errors import RequestFault, StorageFault
from node.net.dialer import Link, reset_connection
from node.net.frames import FRAME_BYTES_MAX, BadFrame, Ping, Reply, ReplyFrame, decode_calls, encode, take_frame
from node.net.messages import Answer, Request, Taken, Unable
from node.net.transport import Handler
from node.timing.clock import HybridClock, Time

log = logging.getLogger(__name__)

PATH = "/peer"
CLOSE_S = 1.0
DRAIN_S = 1.0
"""The callers of what takes longer ask another node."""
UNWANTED_S = 60.0
"""Gossip speaks to every node of the store more often than this, but in clusters of hundreds."""
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
            connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._links: dict[tuple[Address, bool], Link] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._served: set[_Served] = set()

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self._clock = clock
        self._handler = handler

    async def call(
        self, to: Address, request: Request, view_id: ViewId, timeout_s: float, bulk: bool = False
    ) -> Answer:
        return await self._link(to, bulk).call(request, view_id, timeout_s)

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        self._link(to, False).cast(message)

    def is_down(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.down

    def reset(self) -> None:
        for link in self._links.values():
            link.reset()
        for served in self._served:
            served.abort()

    async def drain(self) -> None:
        """Answer what other nodes have asked already, and nothing more, as far as that takes no longer than
        `DRAIN_S`."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*(served.drain() for served in self._served))
        except TimeoutError:
            log.warning("some calls of other nodes stay unanswered")

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links.values()), *self._closing)
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
            socket = await served.run(request)
            return socket if socket.prepared else web.Response(status=503)  # It broke too early to be one.
        finally:
            self._served.discard(served)

    def _link(self, to: Address, bulk: bool) -> Link:
        link = self._links.get((to, bulk))
        if link is None:
            self._close_unwanted()
            url = URL.build(scheme="http", authority=to, path=PATH, query={"from": self._config.address, "to": to})
            link = self._links[to, bulk] = Link(self._session, url, self._time, self._clock, self._config)
        return link

    def _close_unwanted(self) -> None:
        """Nodes come and go; that a new one came is a good moment to part with those that nobody has spoken to for
        long."""
        unwanted = [to for to, link in self._links.items() if link.unwanted_s() > UNWANTED_S]
        for to in unwanted:
            closing = asyncio.create_task(self._links.pop(to).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


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
            self._abort = partial(reset_connection, request.transport)
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._send(socket))
                await self._receive(socket, tasks)
                sender.cancel()
        except* (ConnectionError, RuntimeError, aiohttp.ClientError) as faults:
            log.debug("link from %s broke: %s", self._sender, faults.exceptions)
        finally:
            self._all_answered.set()  # Nobody is left to answer.
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
            self._clock.hear(self._sender, frame.clocks)
            for cast in frame.casts:
                self._handler.hear(self._sender, cast)
            for call in frame.calls:
                self._unanswered += 1
                self._all_answered.clear()
                if isinstance(call.request, Ping):
                    self._reply(call.id, Taken())
                    continue
                try:
                    answer = self._handler.answer(self._sender, call.view_id, call.budget_ms / 1000, call.request)
                except StorageFault as fault:
                    log.error("a call of %s: %s", self._sender, fault)
                    answer = Unable()
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
                replies = take_frame(self._replies)
                await socket.send_bytes(encode(ReplyFrame(self._clock.clocks, replies)))
                self._unanswered -= len(replies)
                if not self._unanswered:
                    self._all_answered.set()
