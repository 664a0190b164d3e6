"""The side of a link that answers: serves what other nodes dial, on the port that serves clients too.

It executes each call that arrives once, and answers in whatever order the answers come. Its callers judge its node by
whether it answers at all: so it answers a ping itself, at once, whatever its node waits for, and a failing disk is an
answer too. What has arrived on a link but was not executed yet never is, once the link is broken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

from gossip.view import Address, BadAddress, host_of, parse_address
from node.config import Config
from node.errors import Forbidden, RequestFault, StorageFault
from node.net.connection import reset_connection
from node.net.frames import FRAME_BYTES_MAX, BadFrame, Call, Ping, Reply, ReplyFrame, decode_calls, encode, take_frame
from node.net.handshake import (
    CLUSTER_FIELD,
    CLUSTER_HEADER,
    EXPIRY,
    KNOWS_HEADER,
    PROTOCOLS_FIELD,
    PROTOCOLS_HEADER,
    Doorkeeper,
    cluster_of,
)
from node.net.lanes import APART, fit
from node.net.messages import Answer, NodeMessage, Taken, Unable
from node.net.peer_certificates import NO_CERTIFICATE, TLS_HEADER, PeerCertificates
from node.net.proving import ALL_OR_NONE, Greeting, Prover
from node.net.transport import Handler
from node.timing.clock import HybridClock

log = logging.getLogger(__name__)

UNPROVEN_MAX = 256
"""Links whose proof is waited for, at once."""


class Acceptor:
    """The links that other nodes have dialled. `note_dialled` is told who dials, and from which IP address,
    before anything that came is read."""

    _clock: HybridClock
    _handler: Handler

    def __init__(
        self,
        config: Config,
        doorkeeper: Doorkeeper,
        prover: Prover,
        certificates: PeerCertificates,
        note_dialled: Callable[[Address, str | None], None],
    ) -> None:
        self._config = config
        self._doorkeeper = doorkeeper
        self._prover = prover
        self._certificates = certificates
        self._note_dialled = note_dialled
        self._served: set[_Served] = set()
        self._unproven: dict[_Served, None] = {}
        """Those whose proof is waited for, the oldest first."""

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self._clock = clock
        self._handler = handler

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The HTTP handler of `PATH`: answers another node's calls for as long as its link lasts. Raises
        RequestFault if who dials is no node, and HTTPMisdirectedRequest if it takes this node for another."""
        if "Origin" in request.headers:
            raise Forbidden("This is for nodes, not for pages in a browser")
        try:
            sender = parse_address(request.query.get("from", ""))
        except BadAddress as error:
            raise RequestFault(str(error)) from None
        if not self._certificates.admits(sender, _shown_by(request)):
            return self._without_certificate(sender)
        if not self._doorkeeper.is_meant(sender, request.query.get("to", ""), request.query.get("process", "")):
            raise web.HTTPMisdirectedRequest()
        if not self._doorkeeper.is_kin(sender, cluster_of(request.query, CLUSTER_FIELD)):
            return self._of_another_cluster()
        may_be_understood = self._doorkeeper.may_be_understood(sender, request.query, CLUSTER_FIELD)
        protocol = self._doorkeeper.protocol_with(sender, request.query, PROTOCOLS_FIELD)
        if protocol is None or not may_be_understood:
            return self._without_protocol()
        greeting = self._prover.greet(sender, request.headers, protocol)
        if greeting is None:
            return self._without_proof()
        is_small = request.query.get("large") == APART
        headers = {PROTOCOLS_HEADER: self._doorkeeper.protocols.told, **greeting.headers}
        no_frame = self._note_no_frame if CLUSTER_FIELD in request.query else self._note_not_understood
        ends = self._let_in, no_frame
        served = _Served(sender, self._clock, self._handler, self._config, is_small, greeting, headers, *ends)
        self._served.add(served)
        self._wait_for_proof(served)
        try:
            socket = await served.run(request)
            return socket if socket.prepared else web.Response(status=503)  # It broke too early to be one.
        finally:
            self._served.discard(served)
            self._unproven.pop(served, None)

    def _wait_for_proof(self, served: _Served) -> None:
        """A node proves itself at once: where too many have not, the oldest is none."""
        if not served.awaits_proof:
            return
        if len(self._unproven) >= UNPROVEN_MAX:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.abort()
        self._unproven[served] = None

    def _without_certificate(self, sender: Address) -> web.Response:
        fault = {"error": f"This node wants a certificate for {host_of(sender)}", "message": "Error in GET"}
        return web.json_response(fault, status=403, headers={TLS_HEADER: NO_CERTIFICATE})

    def _of_another_cluster(self) -> web.Response:
        cluster = self._config.cluster
        fault = {"error": f"This node is of the cluster {cluster!r}", "message": "Error in GET"}
        return web.json_response(fault, status=403, headers={CLUSTER_HEADER: cluster})

    def _without_protocol(self) -> web.Response:
        told = self._doorkeeper.protocols.told
        fault = {"error": f"This node speaks the protocols {told}", "message": "Error in GET"}
        return web.json_response(fault, status=403, headers={PROTOCOLS_HEADER: told})

    def _without_proof(self) -> web.Response:
        fault = {
            "error": f"This node and who dials it have no secret in common: {ALL_OR_NONE}",
            "message": "Error in GET",
        }
        return web.json_response(fault, status=403, headers=self._prover.refusal())

    def _let_in(self, served: _Served, ip: str | None) -> None:
        self._unproven.pop(served, None)
        self._doorkeeper.admit(served.sender)
        self._note_dialled(served.sender, ip)

    def _note_no_frame(self, sender: Address, error: BadFrame) -> None:
        log.error("garbage from %s: %s", sender, error)

    def _note_not_understood(self, sender: Address, error: BadFrame) -> None:
        self._doorkeeper.note_not_understood(sender)

    def reset(self) -> None:
        """Break every link: what has arrived but was not executed never will be."""
        for served in list(self._served):
            served.abort()

    async def drain(self) -> None:
        """Answer what other nodes have asked already, and nothing more, as far as that takes no longer than
        `link_drain_s`."""
        try:
            async with asyncio.timeout(self._config.link_drain_s):
                await asyncio.gather(*(served.drain() for served in self._served))
        except TimeoutError:
            log.warning("some calls of other nodes stay unanswered")


def _shown_by(request: web.Request) -> Mapping[str, Any] | None:
    """The certificate of who has sent it, which was found in order; None: it has shown none."""
    encrypted = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    return None if encrypted is None else encrypted.getpeercert()


class _Served:
    """One link. Ends with its connection; the answers still being worked out then are lost, not the work."""

    def __init__(
        self,
        sender: Address,
        clock: HybridClock,
        handler: Handler,
        config: Config,
        is_small: bool,
        greeting: Greeting,
        headers: Mapping[str, str],
        let_in: Callable[[_Served, str | None], None],
        note_no_frame: Callable[[Address, BadFrame], None],
    ) -> None:
        """`is_small`: large answers are given on another one, see `lanes`. `headers`: of the answer, besides those that
        every node's has. `let_in` is told once the sender has proven what it has to, and from which IP address it has
        dialled, `note_no_frame` that it has sent something else than frames."""
        self._greeting = greeting
        self._let_in = let_in
        self._note_no_frame = note_no_frame
        self._proof_s = config.proof_s
        self._is_small = is_small
        self.sender = self._sender = sender
        self.awaits_proof = greeting.await_proof
        self._clock = clock
        self._handler = handler
        self._socket = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES_MAX,
            compress=False,
            heartbeat=config.acceptor_keepalive_s,
            timeout=config.link_close_s,
        )
        self._socket.headers[CLUSTER_HEADER] = config.cluster
        self._socket.headers[KNOWS_HEADER] = EXPIRY
        self._socket.headers.update(headers)
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
            if self._greeting.await_proof and not await self._is_proven(socket):
                self.abort()
                return socket
            self._let_in(self, request.remote)
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._send(socket))
                await self._receive(socket, tasks)
                sender.cancel()
        except* (ConnectionError, RuntimeError, aiohttp.ClientError) as faults:
            log.debug("link from %s broke: %s", self._sender, faults.exceptions)
        finally:
            self._all_answered.set()  # Nobody is left to answer.
        return socket

    async def _is_proven(self, socket: web.WebSocketResponse) -> bool:
        try:
            async with asyncio.timeout(self._proof_s):
                message = await socket.receive()
        except TimeoutError:
            return False
        if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            return False  # It broke, which says nothing.
        return self._greeting.is_proven(message.data if message.type is aiohttp.WSMsgType.BINARY else b"")

    async def _receive(self, socket: web.WebSocketResponse, tasks: asyncio.TaskGroup) -> None:
        async for message in socket:
            if self._closing or message.type is not aiohttp.WSMsgType.BINARY:
                return
            try:
                frame = decode_calls(message.data)
            except BadFrame as error:
                self._note_no_frame(self._sender, error)
                self.abort()
                return
            self._clock.hear(self._sender, frame.clocks)
            if self._closing:  # It was sent before a pause, which has been noticed right now.
                return
            for cast in frame.casts:
                self._handler.hear(self._sender, cast)
            if frame.calls:
                self._unanswered += len(frame.calls)
                self._all_answered.clear()
            for call in frame.calls:
                self._answer(call, tasks)

    def _answer(self, call: Call, tasks: asyncio.TaskGroup) -> None:
        if isinstance(call.request, Ping):
            self._reply(call.id, Taken())
            return
        try:
            answer = self._handler.answer(self._sender, call.view_id, call.budget_ms / 1000, call.request)
        except StorageFault as fault:
            log.error("a call of %s: %s", self._sender, fault)
            answer = Unable()
        if isinstance(answer, NodeMessage):
            self._reply(call.id, answer)
        else:
            tasks.create_task(self._reply_later(call.id, answer))

    async def _reply_later(self, id_: int, answer: Awaitable[Answer]) -> None:
        try:
            self._reply(id_, await answer)
        except StorageFault as fault:
            log.error("a call of %s: %s", self._sender, fault)
            self._reply(id_, Unable())

    def _reply(self, id_: int, answer: Answer) -> None:
        self._replies.append(Reply(id_, fit(answer, self._is_small)))
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
