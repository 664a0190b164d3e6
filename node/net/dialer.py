"""The side of a link that asks: dials, sends calls and casts, and receives the answers.

Everything queued in one turn of the event loop leaves in one frame. A peer that has not answered a call for as long as
a silence lasts has its link aborted: what it was asked must not be executed long after the sender has given up on it.
One that could not be reached is passed over at once, not waited for once per request, and is tried again while anybody
wants it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import aiohttp
from yarl import URL

import gossip.messages
from gossip.view import ViewId
from node.config import Config
from node.errors import PeerFault, PeerLost, PeerRefused
from node.net.frames import FRAME_BYTES_MAX, BadFrame, Call, CallFrame, Ping, decode_replies, encode, take_frame
from node.net.messages import Answer, Read, Request, Write
from node.net.sockets import reset_dialled
from node.timing.clock import HybridClock, Time
from node.timing.deadlines import Deadlines

log = logging.getLogger(__name__)

PENDING_MAX = 10_000
"""Calls that wait on one link; beyond, a peer this slow is as good as gone."""


class Link:
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
        self._silences = Deadlines(self._pending, self._fall_silent)
        self._hurries = Deadlines(self._pending, self._run_out)
        """Of calls that say nothing about the peer if they are not answered in time."""
        self._next_ping: asyncio.TimerHandle | None = None
        self._calls: list[Call] = []
        self._casts: list[gossip.messages.Message] = []
        self._queued = asyncio.Event()
        self._last_id = 0
        self._wanted = asyncio.Event()
        self._wanted_at = time.monotonic()
        self._task = self._loop.create_task(self._run())

    async def call(self, request: Request, view_id: ViewId, timeout_s: float) -> Answer:
        self._want()
        if self.down:
            raise PeerRefused(f"{self._url.authority} is down")
        if len(self._pending) >= PENDING_MAX:
            raise PeerRefused(f"{self._url.authority} is too slow")
        if (budget_ms := int(timeout_s * 1000)) <= 0:  # Sent nevertheless, it would be held against the peer.
            raise PeerRefused(f"no time is left to ask {self._url.authority}")
        id_, answer = self._queue(view_id, budget_ms, request)
        is_attempt = isinstance(request, Read | Write) and timeout_s <= self._config.attempt_s
        if is_attempt and self._next_ping is None:
            self._ping()
        hurried = is_attempt or timeout_s < self._config.silent_share * self._config.silence_s
        (self._hurries if hurried else self._silences).set(id_, timeout_s)
        try:
            return await answer
        finally:
            del self._pending[id_]

    def _queue(self, view_id: ViewId, budget_ms: int, request: Request | Ping) -> tuple[int, asyncio.Future[Answer]]:
        self._last_id += 1
        answer = self._pending[self._last_id] = self._loop.create_future()
        self._calls.append(Call(self._last_id, view_id, budget_ms, request))
        self._queued.set()
        return self._last_id, answer

    def _ping(self) -> None:
        """An owner that is one of several may take longer than it is given, for it waits for another that is silent.
        Whether it is silent itself is told by a ping: now, and again as long as anything is not answered."""
        self._next_ping = self._loop.call_later(self._config.ping_s, self._ping_again)
        id_, answer = self._queue(ViewId(0, 0), int(self._config.silence_s * 1000), Ping())
        answer.add_done_callback(partial(self._pinged, id_))
        self._silences.set(id_, self._config.silence_s)

    def _ping_again(self) -> None:
        self._next_ping = None
        if self._pending and not self.down:
            self._ping()

    def _pinged(self, id_: int, answer: asyncio.Future[Answer]) -> None:
        del self._pending[id_]
        if not answer.cancelled():
            answer.exception()  # That it is lost is known already.

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
            reset_dialled(self._socket)
            self._socket = None

    def unwanted_s(self) -> float:
        """How long nobody has wanted anything of the peer."""
        return 0.0 if self._pending else self._time.monotonic() - self._wanted_at

    def reset(self) -> None:
        """This node was paused: all that was under way is lost, and whoever was down must be asked again. What waits
        for a connection goes too: its deadline, overdue, would be held against a peer that had no time to answer."""
        self._calls.clear()
        self.abort(PeerLost("this node was paused"))
        self.down = False

    async def close(self) -> None:
        self._task.cancel()
        if self._next_ping is not None:
            self._next_ping.cancel()
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

    def _fall_silent(self, id_: int) -> None:
        if not self._pending[id_].done():  # Else it was lost in a reset, which says nothing about the peer.
            self.down = True
            self._refuse(f"{self._url.authority} is silent")
            self.abort(PeerLost(f"{self._url.authority} is silent"))

    def _run_out(self, id_: int) -> None:
        if self._pending[id_].done():
            return
        unsent = [call for call in self._calls if call.id != id_]
        is_sent, self._calls = len(unsent) == len(self._calls), unsent
        fault = PeerLost if is_sent else PeerRefused
        self._pending[id_].set_exception(fault(f"{self._url.authority} has not answered in the time left"))

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                async with asyncio.timeout(self._config.silence_s):
                    socket = await self._session.ws_connect(
                        self._url,
                        max_msg_size=FRAME_BYTES_MAX,
                        autoclose=False,
                        heartbeat=self._config.dialer_keepalive_s,
                    )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.down = True
                self._refuse(f"{self._url.authority}: {str(error) or 'no connection in time'}")
                await asyncio.sleep(self._config.redial_s)
                if self._time.monotonic() - self._wanted_at > self._config.wanted_s:
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
                    calls = take_frame(self._calls)
                    casts, self._casts = self._casts, []
                    await socket.send_bytes(encode(CallFrame(self._clock.clocks, calls, tuple(casts))))
        except (aiohttp.ClientError, OSError):
            reset_dialled(socket)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            try:
                frame = decode_replies(message.data)
            except BadFrame as error:
                log.error("garbage from %s: %s", self._url.authority, error)
                return
            self._clock.hear(self._url.authority, frame.clocks)
            for reply in frame.replies:
                answer = self._pending.get(reply.id)
                if answer is not None and not answer.done():
                    answer.set_result(reply.answer)
