"""The side of a link that asks: dials, sends calls and casts, and receives the answers.

Everything queued in one turn of the event loop leaves in one frame. What a link's troubles mean, and when anything is
due, is decided by `link_state` alone; here are the connection, the tasks and the timer that its decisions need.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from math import inf

import aiohttp

import gossip.messages
from gossip.view import Address, ViewId
from node.config import Config
from node.net.connection import dialled_ip, reset_dialled
from node.net.distances import Distances
from node.net.frames import FRAME_BYTES_MAX, BadFrame, Call, CallFrame, Ping, decode_replies, encode, take_frame
from node.net.handshake import CLUSTER_HEADER, PROTOCOLS_HEADER, Doorkeeper, cluster_of, is_older, url_of
from node.net.lanes import APART
from node.net.link_output import Output
from node.net.link_state import LinkState
from node.net.messages import Answer, Request
from node.net.names import Names
from node.net.peer_certificates import PeerCertificates
from node.net.proving import Prover, headers_for
from node.timing.clock import HybridClock
from node.timing.running import RunningTime

log = logging.getLogger(__name__)

NO_VIEW = ViewId(0, 0)
"""What a ping is made under: it is answered by the link, which knows no views."""
WAKE_S_MIN = 0.001
"""What a timer may be early: a loop rounds its timers down, and is there again and again while the time is not."""


class Link:
    """Needs a running event loop. Each connection is a task, from dialling to its end; `close` awaits them."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        names: Names,
        peer: Address,
        clock: HybridClock,
        time: RunningTime,
        doorkeeper: Doorkeeper,
        prover: Prover,
        certificates: PeerCertificates,
        config: Config,
        bulk: bool,
        distances: Distances,
        on_silence: Callable[[], None],
    ) -> None:
        """`names`: the resolver of `session`. `bulk`: it is for transfers, and tells `distances` nothing: it sends no
        pings. `on_silence` is called when the peer falls silent."""
        self.is_stranger = False
        """Whether a node of a cluster with another name was found there when it was dialled last."""
        self.is_older = False
        """Whether the node that was found there last knows of no expiry."""
        self.bytes_on_the_way = 0
        self._state: LinkState[asyncio.Future[Answer]] = LinkState(config, peer, bulk)
        self._session = session
        self._names = names
        self._peer = peer
        large, scheme, protocols = "" if bulk else APART, certificates.scheme, doorkeeper.protocols
        self._url = url_of(peer, config.address, config.cluster, doorkeeper.process, large, scheme, protocols)
        self._clock = clock
        self._time = time
        self._doorkeeper = doorkeeper
        self._prover = prover
        self._certificates = certificates
        self._config = config
        self._on_silence = on_silence
        self._distances = None if bulk else distances
        self._keepalive_s = config.bulk_keepalive_s if bulk else config.dialer_keepalive_s
        self._loop = asyncio.get_running_loop()
        self._calls: list[Call] = []
        self._casts: list[gossip.messages.Message] = []
        self._queued = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        """The socket of the present connection, once that is made."""
        self._connection: asyncio.Task[None] | None = None
        """The present one, made or not."""
        self._connections: set[asyncio.Task[None]] = set()
        """With those that are aborted, and about to end."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    async def call(self, request: Request, view_id: ViewId, timeout_s: float, attempt: bool) -> Answer:
        """The answer to one call. Raises PeerFault; see `Transport.call`."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        id_ = self._state.call(answer, self._time.now(), timeout_s, attempt)
        self._calls.append(Call(id_, view_id, int(timeout_s * 1000), request))
        self._queued.set()
        if self._state.wake_at < self._timer_at:
            self._attend()
        try:
            return await answer
        except asyncio.CancelledError:
            self._state.cancelled(id_)
            raise

    def cast(self, message: gossip.messages.Message) -> None:
        if self._state.cast(self._time.now(), len(self._casts)):
            self._casts.append(message)
            self._queued.set()
            self._attend()

    def watch(self) -> None:
        self._state.watch(self._time.now())
        self._attend()

    def unwatch(self) -> None:
        self._state.unwatch()

    def peer_silent(self) -> None:
        """The other link to the same peer has found it silent."""
        self._do(self._state.peer_silent(self._time.now()))

    def is_down(self) -> bool:
        return self._state.is_down

    def silence_s(self) -> float:
        return self._state.trips.silence_s

    def round_trip_s(self) -> float | None:
        return self._state.trips.least_s

    def is_unwanted(self) -> bool:
        return self._state.is_unwanted(self._time.now())

    def doubted(self) -> None:
        self._do(self._state.doubted(self._time.now()))

    def reset(self) -> None:
        self._do(self._state.reset(self._time.now()))

    async def close(self) -> None:
        self._do(self._state.close())
        if self._timer is not None:
            self._timer.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    # What the state wants done

    def _do(self, output: Output[asyncio.Future[Answer]]) -> None:
        if output.abort:
            self._abort()
        for answer, fault in output.failed:
            if not answer.done():
                answer.set_exception(fault)
        if self._calls:
            self._calls = [call for call in self._calls if self._state.is_waiting(call.id)]
        if self._state.is_down:
            self._casts.clear()
        if output.is_silent:
            self._on_silence()
        if output.dial:
            self._connection = self._loop.create_task(self._connect())
            self._connections.add(self._connection)
            self._connection.add_done_callback(self._connections.discard)
        if output.ping:
            self._calls.append(Call(output.ping, NO_VIEW, int(self._config.silence_s * 1000), Ping()))
            self._queued.set()
        self._attend()

    def _attend(self) -> None:
        """Do what is due, and set the timer for what comes next."""
        wake_at, now = self._state.wake_at, self._time.now()
        if wake_at <= now:
            self._do(self._state.wake(now))
        elif wake_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(max(wake_at - now, WAKE_S_MIN), self._wake)
            self._timer_at = wake_at

    def _wake(self) -> None:
        self._timer, self._timer_at = None, inf
        self._attend()

    def _abort(self) -> None:
        if self._socket is not None:
            reset_dialled(self._socket)
            self._socket = None
        if self._connection is not None:
            self._connection.cancel()

    # One connection

    async def _connect(self) -> None:
        challenge = self._prover.challenge()
        try:
            socket = await self._session.ws_connect(
                self._url,
                ssl=self._certificates.dialling,
                headers=headers_for(challenge),
                max_msg_size=FRAME_BYTES_MAX,
                autoclose=False,
                heartbeat=self._keepalive_s,
            )
        except (aiohttp.ClientError, OSError) as error:
            headers: Mapping[str, str] = getattr(error, "headers", None) or {}
            is_foreign = CLUSTER_HEADER in headers and self._is_of_another_cluster(headers)
            self.is_stranger = is_foreign and not self._names.is_guess(self._peer)
            if PROTOCOLS_HEADER in headers:
                self._doorkeeper.protocol_with(self._peer, headers, PROTOCOLS_HEADER)
            self._prover.refused(self._peer, headers)
            self._certificates.refused(self._peer, headers)
            self._certificates.dial_failed(self._peer, error)
            self._do(self._state.dial_failed(self._time.now(), str(error)))
            return
        is_foreign = self._is_of_another_cluster(socket._response.headers)
        self.is_stranger = is_foreign and not self._names.is_guess(self._peer)
        if is_foreign:
            reset_dialled(socket)
            self._do(self._state.dial_failed(self._time.now(), "it is of another cluster"))
            return
        protocol = self._protocol_with(socket._response.headers)
        if protocol is None:
            reset_dialled(socket)
            self._do(self._state.dial_failed(self._time.now(), "it speaks no protocol of this node's"))
            return
        if not await self._is_proven(socket, challenge, protocol):
            reset_dialled(socket)
            self._do(self._state.dial_failed(self._time.now(), "it was not let in, or has no secret in common"))
            return
        self._doorkeeper.admit(self._peer)
        self.is_older = is_older(socket._response.headers)
        self._names.found_at(self._peer, dialled_ip(socket))
        self._state.connected(self._time.now())
        self._socket = socket
        self._queued.set()
        self._attend()
        sender = self._loop.create_task(self._send(socket))
        try:
            if not await self._receive(socket) and CLUSTER_HEADER not in socket._response.headers:
                self._doorkeeper.note_not_understood(self._peer)
            self._socket = None
            self._do(self._state.lost(self._time.now()))
        finally:
            reset_dialled(socket)
            sender.cancel()
            await asyncio.wait([sender])

    async def _is_proven(self, socket: aiohttp.ClientWebSocketResponse, challenge: bytes, protocol: int) -> bool:
        """Whether the peer knows the secret, and has been sent the proof that this node does, where there is one."""
        proof = self._prover.answer(self._peer, challenge, socket._response.headers, protocol)
        try:
            if proof is None:  # Told so, the other one says so too.
                await socket.close(code=aiohttp.WSCloseCode.POLICY_VIOLATION)
            elif proof:
                await socket.send_bytes(proof)
        except (aiohttp.ClientError, OSError):
            return False
        return proof is not None

    def _protocol_with(self, headers: Mapping[str, str]) -> int | None:
        """The one that is to be spoken; None: there is none."""
        if not self._doorkeeper.may_be_understood(self._peer, headers, CLUSTER_HEADER):
            return None
        return self._doorkeeper.protocol_with(self._peer, headers, PROTOCOLS_HEADER)

    def _is_of_another_cluster(self, headers: Mapping[str, str]) -> bool:
        return not self._doorkeeper.is_kin(self._peer, cluster_of(headers, CLUSTER_HEADER))

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await self._queued.wait()
                self._queued.clear()
                while self._socket is socket and (self._calls or self._casts):
                    calls = take_frame(self._calls)
                    if calls:
                        self._state.sent(calls[-1].id)
                    casts, self._casts = self._casts, []
                    await socket.send_bytes(encode(CallFrame(self._clock.clocks, calls, tuple(casts))))
        except (aiohttp.ClientError, OSError):
            reset_dialled(socket)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """Until the link ends; whether anything was understood."""
        is_understood = False
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
            try:
                frame = decode_replies(message.data)
            except BadFrame as error:
                if CLUSTER_HEADER in socket._response.headers:
                    log.error("garbage from %s: %s", self._peer, error)
                break
            is_understood = True
            self._clock.hear(self._peer, frame.clocks)
            if self._socket is not socket:  # As in `acceptor`.
                break
            for reply in frame.replies:
                answer = self._state.answered(reply.id)
                if answer is None:
                    self._note_echo(reply.id)
                elif not answer.done():
                    answer.set_result(reply.answer)
        return is_understood

    def _note_echo(self, id_: int) -> None:
        trips = self._state.trips
        trips.note_answer(id_, self._time.now())
        if self._distances is not None:
            self._distances.note(self._peer, trips.far_s)
