"""One process's end of the simulated network: a `node.net.transport.Transport`, after the model of `node.net.dialer`
and `node.net.pool`.

Every message goes through the real encoder and decoder. A call that is not answered in time breaks its link, a peer
that could not be reached is passed over until a new attempt succeeds or it dials itself, and a reset loses what was
under way. What a broken connection had not delivered yet is never executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from functools import partial

import msgspec

import gossip.messages
from gossip.view import Address, ViewId
from node.config import Config
from node.errors import PeerFault, PeerLost, PeerRefused, StorageFault
from node.net.frames import Call, CallFrame, Ping, Reply, ReplyFrame, decode_calls, decode_replies, encode
from node.net.messages import (
    Answer,
    Read,
    Request,
    Taken,
    Unable,
    Write,
)
from node.net.transport import Handler
from node.timing.clock import HybridClock
from tests.sim.loop import Host
from tests.sim.network import Network
from tests.sim.trace import brief, name_of


class Connection:
    """From a process that asks to one that answers. Each end closes it for itself: `open` is the asker's; the answerer
    serves those it knows."""

    __slots__ = ("answerer", "asker", "link", "open", "to")

    def __init__(self, asker: Port, link: _Link) -> None:
        self.asker = asker
        self.link = link
        self.to = link.to
        self.open = True
        self.answerer: Port | None = None
        """None while it is being dialled."""


class _Link:
    """What one process knows of its connection to one peer."""

    def __init__(self, to: Address) -> None:
        self.to = to
        self.down = False
        self.connection: Connection | None = None
        self.pending: dict[int, asyncio.Future[Answer]] = {}
        self.unsent: list[Call] = []
        self.wanted_at = 0.0
        self.is_pinged = False
        """Whether a ping was sent a moment ago."""


class Port:
    """A transport."""

    clock: HybridClock
    handler: Handler

    def __init__(self, network: Network, config: Config, host: Host) -> None:
        self.address = config.address
        self._config = config
        self.host = host
        self._network = network
        self._loop = network.loop
        self._links: dict[tuple[Address, bool], _Link] = {}
        self._served: dict[Connection, None] = {}
        self._last_id = 0

    # Transport

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self.clock, self.handler = clock, handler

    def listen(self) -> None:
        """Until then, whoever dials is refused: a process takes no connections before its node runs."""
        self._network.listen(self)

    async def call(
        self, to: Address, request: Request, view_id: ViewId, timeout_s: float, bulk: bool = False
    ) -> Answer:
        link = self._link(to, bulk)
        link.wanted_at = self._loop.now
        if link.down:
            raise PeerRefused(f"{to} is down")
        if (budget_ms := int(timeout_s * 1000)) <= 0:
            raise PeerRefused(f"no time is left to ask {to}")
        is_attempt = isinstance(request, Read | Write) and timeout_s <= self._config.attempt_s
        if is_attempt and not link.is_pinged:
            self._ping(link)
        id_, answer = self._queue(link, view_id, budget_ms, request)
        self._flush(link)
        waits_s = 0.0 if is_attempt else timeout_s
        timer = self._loop.call_later(timeout_s, self._expire, link, id_, waits_s)
        try:
            return await answer
        finally:
            timer.cancel()
            link.pending.pop(id_, None)

    def _queue(
        self, link: _Link, view_id: ViewId, budget_ms: int, request: Request | Ping
    ) -> tuple[int, asyncio.Future[Answer]]:
        self._last_id += 1
        answer = link.pending[self._last_id] = self._loop.create_future()
        link.unsent.append(Call(self._last_id, view_id, budget_ms, request))
        return self._last_id, answer

    def _ping(self, link: _Link) -> None:
        link.is_pinged = True
        self._loop.call_later(self._config.ping_s, self._ping_again, link)
        id_, answer = self._queue(link, ViewId(0, 0), int(self._config.silence_s * 1000), Ping())
        timer = self._loop.call_later(self._config.silence_s, self._expire, link, id_, self._config.silence_s)
        answer.add_done_callback(partial(self._pinged, link, id_, timer))

    def _ping_again(self, link: _Link) -> None:
        link.is_pinged = False
        if link.pending and not link.down:
            self._ping(link)
            self._flush(link)

    def _pinged(self, link: _Link, id_: int, timer: asyncio.TimerHandle, answer: asyncio.Future[Answer]) -> None:
        timer.cancel()
        del link.pending[id_]
        if not answer.cancelled():
            answer.exception()

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        data = encode(CallFrame(self.clock.clocks, (), (message,)))
        told = self._network.trace and f"{name_of(self.address)} ~> {name_of(to)} {brief(message)}"
        self._network.cast(self.address, to, data, told)

    def is_down(self, to: Address) -> bool:
        return self._link(to, False).down

    def reset(self) -> None:
        for link in self._links.values():
            link.unsent.clear()
            self._break(link, PeerLost("this node was paused"))
            link.down = False
            self._flush(link)
        for connection in self._served:
            self._network.reset(connection)
        self._served.clear()

    async def close(self) -> None:
        for link in self._links.values():
            self._refuse(link, "this node is stopping")
            self._break(link, PeerLost("this node is stopping"))

    def die(self) -> Iterator[Connection]:
        """The process is gone; whose connections does its kernel reset?"""
        for link in self._links.values():
            if link.connection is not None:
                link.connection.open = False
        yield from self._served

    # The side that asks

    def _link(self, to: Address, bulk: bool) -> _Link:
        link = self._links.get((to, bulk))
        if link is None:
            link = self._links[to, bulk] = _Link(to)
        return link

    def _flush(self, link: _Link) -> None:
        """Send what waits for it, or dial."""
        connection = link.connection
        if connection is None:
            self._dial(link)
        elif connection.answerer is not None:
            calls, link.unsent = link.unsent, []
            for call in calls:
                data = encode(CallFrame(self.clock.clocks, (call,), ()))
                self._network.ask(connection, data, call.id, call.request)

    def _dial(self, link: _Link) -> None:
        connection = link.connection = Connection(self, link)
        self._network.dial(connection)
        self._loop.call_later(self._config.silence_s, self._give_up, connection)

    def _give_up(self, connection: Connection) -> None:
        if connection.open and connection.answerer is None:
            self._not_made(connection, "no connection in time")

    def _not_made(self, connection: Connection, why: str) -> None:
        link = connection.link
        connection.open, link.connection = False, None
        link.down = True
        self._refuse(link, why)
        self._loop.call_later(self._config.redial_s, self._redial, link)

    def _redial(self, link: _Link) -> None:
        if link.connection is None:
            if self._loop.now - link.wanted_at > self._config.wanted_s:
                link.down = False
            else:
                self._dial(link)

    def accepted(self, connection: Connection, answerer: Port) -> None:
        if connection.open:
            connection.answerer, connection.link.down = answerer, False
            self._flush(connection.link)

    def answered(self, connection: Connection, data: bytes) -> None:
        if not connection.open:
            return
        frame = decode_replies(data)
        self.clock.hear(connection.to, frame.clocks)
        for reply in frame.replies:
            pending = connection.link.pending.get(reply.id)
            if pending is not None and not pending.done():
                pending.set_result(reply.answer)

    def lost(self, connection: Connection) -> None:
        """The other side has reset it, or refused it."""
        if not connection.open:
            return
        if connection.answerer is None:
            self._not_made(connection, "nobody listens")
        else:
            self._break(connection.link, PeerLost(f"{connection.to} closed the link"))
            self._flush(connection.link)

    def _expire(self, link: _Link, id_: int, waited_s: float) -> None:
        if id_ not in link.pending or link.pending[id_].done():
            return
        if waited_s >= self._config.silent_share * self._config.silence_s:
            link.down = True
            self._refuse(link, f"{link.to} is silent")
            self._break(link, PeerLost(f"{link.to} is silent"))
            self._flush(link)
        else:
            unsent = [call for call in link.unsent if call.id != id_]
            is_sent, link.unsent = len(unsent) == len(link.unsent), unsent
            fault = PeerLost if is_sent else PeerRefused
            link.pending[id_].set_exception(fault(f"{link.to} has not answered in the time left"))

    def _refuse(self, link: _Link, why: str) -> None:
        """There is no connection to be had for what waits for one."""
        for call in link.unsent:
            answer = link.pending.get(call.id)
            if answer is not None and not answer.done():
                answer.set_exception(PeerRefused(why))
        link.unsent.clear()

    def _break(self, link: _Link, fault: PeerFault) -> None:
        """What was sent fails with `fault`; what was not, waits for the next connection."""
        unsent = {call.id for call in link.unsent}
        for id_, answer in link.pending.items():
            if id_ not in unsent and not answer.done():
                answer.set_exception(fault)
        if link.connection is not None:
            link.connection.open = False
            link.connection = None

    # The side that answers

    def dialled(self, connection: Connection) -> None:
        """Who dials is up: whoever was passed over is asked again from now on."""
        for bulk in (False, True):
            if (link := self._links.get((connection.asker.address, bulk))) is not None:
                link.down = False
        if connection.open:
            self._served = {served: None for served in self._served if served.open}
            self._served[connection] = None
            self._network.accept(connection, self)

    def heard(self, sender: Address, data: bytes) -> None:
        frame = decode_calls(data)
        self.clock.hear(sender, frame.clocks)
        for cast in frame.casts:
            self.handler.hear(sender, cast)

    def asked(self, connection: Connection, data: bytes) -> None:
        if not connection.open:
            return
        if connection not in self._served:
            self._network.reset(connection)
            return
        frame = decode_calls(data)
        self.clock.hear(connection.asker.address, frame.clocks)
        for call in frame.calls:
            if isinstance(call.request, Ping):
                self._reply(connection, call.id, Taken())
                continue
            try:
                answer = self.handler.answer(
                    connection.asker.address, call.view_id, call.budget_ms / 1000, call.request
                )
            except StorageFault:
                answer = Unable()
            if isinstance(answer, msgspec.Struct):
                self._reply(connection, call.id, answer)
            else:
                self.host.spawn(self._answer_later(connection, call.id, answer))

    async def _answer_later(self, connection: Connection, id_: int, answer: Awaitable[Answer]) -> None:
        try:
            self._reply(connection, id_, await answer)
        except StorageFault:
            self._reply(connection, id_, Unable())
        except Exception as error:
            self._loop.failures.append(error)

    def _reply(self, connection: Connection, id_: int, answer: Answer) -> None:
        if connection in self._served:
            data = encode(ReplyFrame(self.clock.clocks, (Reply(id_, answer),)))
            self._network.reply(connection, data, id_, answer)
