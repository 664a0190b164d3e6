"""One process's links on the simulated network: the real rules, see `port`, over connections that are simulated."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

import gossip.messages
from gossip.view import Address, ViewId
from node.config import Config
from node.net.dialer import WAKE_S_MIN
from node.net.frames import Call, CallFrame, Ping, encode
from node.net.link_output import Output, Phase
from node.net.link_state import LinkState
from node.net.messages import Answer, Promise, Request
from tests.sim.network import Network
from tests.sim.trace import brief, name_of

if TYPE_CHECKING:
    from tests.sim.port import Port


class Way:
    """One direction of a connection."""

    __slots__ = ("busy_until",)

    def __init__(self) -> None:
        self.busy_until = 0.0
        """Until when it carries what was sent on it."""


class Connection:
    """From a process that asks to one that answers. Each end closes it for itself: `open` is the asker's; the answerer
    serves those it knows."""

    __slots__ = ("answerer", "asker", "link", "open", "promises", "to", "ways")

    def __init__(self, asker: Port, link: Link) -> None:
        self.asker = asker
        self.link = link
        self.to = link.to
        self.open = True
        self.answerer: Port | None = None
        """None while it is being dialled."""
        self.promises: dict[int, Promise] = {}
        """Those asked for and not answered yet, by the call."""
        self.ways = (Way(), Way())
        """There and back."""


class Link:
    """What one process knows of its connection to one peer; drives a `LinkState`, as that of `node.net.dialer` does."""

    def __init__(self, port: Port, to: Address, network: Network, config: Config, bulk: bool) -> None:
        self.to = to
        self.is_bulk = bulk
        self.bytes_on_the_way = 0
        self.state: LinkState[asyncio.Future[Answer]] = LinkState(config, to, bulk)
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

    def watch(self) -> None:
        self.state.watch(self._time.now())
        self._attend()

    def unwatch(self) -> None:
        self.state.unwatch()

    def is_down(self) -> bool:
        return self.state.is_down

    def do(self, output: Output[asyncio.Future[Answer]]) -> None:
        if output.abort:
            self.abandon()
        for answer, fault in output.failed:
            if not answer.done():
                answer.set_exception(fault)
        self._calls = [call for call in self._calls if self.state.is_waiting(call.id)]
        if self.state.is_down:
            self._casts.clear()
        if output.is_silent and not self.is_bulk:
            self._port.note_silence(self.to)
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
