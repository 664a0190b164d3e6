"""One process's end of the simulated network: a `node.net.transport.Transport` for a `Host`.

The rules of its links are not imitated: each is a `LinkState`, with the timing of the machine's own configuration, as
in `node.net.dialer`. What is simulated is what lies below: the connections, which behave as TCP does (see `network`).
Every message goes through the real encoder and decoder. What a broken connection had not delivered is never executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from math import inf

import msgspec

import gossip.messages
from gossip.view import Address, ViewId
from node.config import Config
from node.errors import StorageFault
from node.net.dialer import WAKE_S_MIN
from node.net.frames import Call, CallFrame, Ping, Reply, ReplyFrame, decode_calls, decode_replies, encode
from node.net.handshake import Doorkeeper
from node.net.link_output import Output, Phase
from node.net.link_state import LinkState
from node.net.messages import Answer, Promise, Request, Taken, Unable
from node.net.transport import Handler
from node.timing.clock import HybridClock
from node.timing.running import RunningTime
from tests.sim.loop import Host
from tests.sim.network import Network
from tests.sim.trace import brief, name_of


class Connection:
    """From a process that asks to one that answers. Each end closes it for itself: `open` is the asker's; the answerer
    serves those it knows."""

    __slots__ = ("answerer", "asker", "link", "open", "promises", "to")

    def __init__(self, asker: Port, link: Link) -> None:
        self.asker = asker
        self.link = link
        self.to = link.to
        self.open = True
        self.answerer: Port | None = None
        """None while it is being dialled."""
        self.promises: dict[int, Promise] = {}
        """Those asked for and not answered yet, by the call."""


class Link:
    """What one process knows of its connection to one peer; drives a `LinkState`, as that of `node.net.dialer` does."""

    def __init__(self, port: Port, to: Address, network: Network, config: Config) -> None:
        self.to = to
        self.state: LinkState[asyncio.Future[Answer]] = LinkState(config, to)
        self.is_stranger = False
        """Whether a node of a cluster with another name was found there when it was dialled last."""
        self._port = port
        self._network = network
        self._loop = network.loop
        self._time = port.time
        self._config = config
        self._connection: Connection | None = None
        self._calls: list[Call] = []
        self._casts: list[gossip.messages.Message] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    async def call(self, request: Request, view_id: ViewId, timeout_s: float, attempt: bool) -> Answer:
        answer: asyncio.Future[Answer] = self._loop.create_future()
        id_ = self.state.call(answer, self._time.now(), timeout_s, attempt)
        self._calls.append(Call(id_, view_id, int(timeout_s * 1000), request))
        self._attend()
        try:
            return await answer
        except asyncio.CancelledError:
            self.state.cancelled(id_)
            raise

    def cast(self, message: gossip.messages.Message) -> None:
        if self.state.cast(self._time.now(), len(self._casts)):
            self._casts.append(message)
            self._attend()

    def do(self, output: Output[asyncio.Future[Answer]]) -> None:
        if output.abort:
            self.abandon()
        for answer, fault in output.failed:
            if not answer.done():
                answer.set_exception(fault)
        self._calls = [call for call in self._calls if self.state.is_waiting(call.id)]
        if self.state.is_down:
            self._casts.clear()
        if output.dial:
            self._connection = Connection(self._port, self)
            self._network.dial(self._connection)
        if output.ping:
            self._calls.append(Call(output.ping, ViewId(0, 0), int(self._config.silence_s * 1000), Ping()))
        self._attend()

    def abandon(self) -> None:
        """Close this end of the connection."""
        if self._connection is not None:
            self._connection.open = False
            self._connection = None

    def accepted(self) -> None:
        self.is_stranger = False
        self.state.connected(self._time.now())
        self._attend()

    def lost(self, connection: Connection) -> None:
        """The other side has reset the connection, or nobody listens."""
        self.abandon()
        if connection.answerer is None:
            self.is_stranger = False
            self.do(self.state.dial_failed(self._time.now(), "nobody listens"))
        else:
            self.do(self.state.lost(self._time.now()))

    def turned_away(self) -> None:
        """The other side is of a cluster with another name."""
        self.is_stranger = True
        self.abandon()
        self.do(self.state.dial_failed(self._time.now(), "it is of another cluster"))

    def check(self) -> None:
        """Raises AssertionError unless the link's state is sound, and agrees with its connection."""
        self.state.check()
        phase, connection = self.state.phase, self._connection
        assert phase is not Phase.WANTED, f"{self.to} is wanted, and not dialled"
        assert (connection is not None) == (phase in (Phase.DIALLING, Phase.REDIALLING, Phase.UP)), f"{phase}"
        if connection is not None:
            assert connection.open and (connection.answerer is not None) == (phase is Phase.UP), f"{phase}"
        assert self._timer_at <= self.state.wake_at, "nobody will wake it"

    def _attend(self) -> None:
        """Do what is due, send what can be sent, and set the timer for what comes next."""
        now = self._time.now()
        if self.state.wake_at <= now:
            self.do(self.state.wake(now))
            return
        connection = self._connection
        if connection is not None and connection.answerer is not None:
            self._send(connection)
        if self.state.wake_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self.state.wake_at
            self._timer = self._loop.call_later(max(self._timer_at - now, WAKE_S_MIN), self._wake)

    def _wake(self) -> None:
        self._timer, self._timer_at = None, inf
        self._attend()

    def _send(self, connection: Connection) -> None:
        """A frame for each, so that they overtake each other."""
        clocks = self._port.clock.clocks
        calls, self._calls = self._calls, []
        for call in calls:
            self.state.sent(call.id)
            self._network.ask(connection, encode(CallFrame(clocks, (call,), ())), call.id, call.request)
        casts, self._casts = self._casts, []
        for cast in casts:
            me = self._port.address
            told = self._network.trace and f"{name_of(me)} ~> {name_of(self.to)} {brief(cast)}"
            self._network.cast(self._port, self.to, encode(CallFrame(clocks, (), (cast,))), told)


class Port:
    """A transport."""

    clock: HybridClock
    handler: Handler

    def __init__(self, network: Network, config: Config, host: Host) -> None:
        self.address = config.address
        self.cluster = config.cluster
        self.host = host
        self.time = RunningTime(config.pause_check_s)
        self._network = network
        self._config = config
        self._loop = network.loop
        self._links: dict[tuple[Address, bool], Link] = {}
        self._served: dict[Connection, None] = {}
        self._doorkeeper = Doorkeeper(config.address, config.cluster)

    # Transport

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self.clock, self.handler = clock, handler

    def listen(self) -> None:
        """Until then, whoever dials is refused: a process takes no connections before its node runs."""
        self._network.listen(self)

    async def call(
        self,
        to: Address,
        request: Request,
        view_id: ViewId,
        timeout_s: float,
        bulk: bool = False,
        attempt: bool = False,
    ) -> Answer:
        return await self._link(to, bulk).call(request, view_id, timeout_s, attempt)

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        self._link(to, False).cast(message)

    def is_down(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.state.is_down

    def is_stranger(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.is_stranger

    def silence_s(self, to: Address) -> float:
        link = self._links.get((to, False))
        return self._config.silence_s if link is None else link.state.silence_s

    def running(self) -> float:
        return self.time.now()

    def reset(self) -> None:
        for link in self._links.values():
            link.do(link.state.reset(self.time.now()))
        for connection in self._served:
            self._network.reset(connection)
        self._served.clear()

    async def close(self) -> None:
        for link in self._links.values():
            link.do(link.state.close())
        self.time.close()

    def check(self) -> None:
        """Raises AssertionError unless every link is in order."""
        for link in self._links.values():
            link.check()

    def die(self) -> Iterator[Connection]:
        """The process is gone; whose connections does its kernel reset?"""
        for link in self._links.values():
            link.abandon()
        yield from self._served

    # The side that asks

    def _link(self, to: Address, bulk: bool) -> Link:
        link = self._links.get((to, bulk))
        if link is None:
            link = self._links[to, bulk] = Link(self, to, self._network, self._config)
        return link

    def accepted(self, connection: Connection, answerer: Port) -> None:
        """The answer to a dial: it tells which cluster the other side is of, be it a refusal or not."""
        if not connection.open:
            return
        if not self._doorkeeper.is_kin(connection.to, answerer.cluster):
            connection.link.turned_away()
            return
        self._doorkeeper.admit(connection.to)
        connection.answerer = answerer
        connection.link.accepted()

    def answered(self, connection: Connection, data: bytes) -> None:
        if not connection.open:
            return
        frame = decode_replies(data)
        self.clock.hear(connection.to, frame.clocks)
        for reply in frame.replies:
            answer = connection.link.state.answered(reply.id, self.time.now())
            if answer is not None and not answer.done():
                answer.set_result(reply.answer)

    def lost(self, connection: Connection) -> None:
        if connection.open:
            connection.link.lost(connection)

    # The side that answers

    def dialled(self, connection: Connection) -> None:
        if not self._doorkeeper.is_kin(connection.asker.address, connection.asker.cluster):
            self._network.accept(connection, self)  # Which tells the name.
            return
        self._doorkeeper.admit(connection.asker.address)
        for bulk in (False, True):
            if (link := self._links.get((connection.asker.address, bulk))) is not None:
                link.do(link.state.peer_dialled(self.time.now()))
        if connection.open:
            self._served = {served: None for served in self._served if served.open}
            self._served[connection] = None
            self._network.accept(connection, self)

    def heard(self, sender: Address, cluster: str, data: bytes) -> None:
        """A cast, which in truth comes over a link."""
        if cluster != self.cluster:
            return
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
