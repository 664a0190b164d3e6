"""A simulated network under the real nodes: messages that are late, lost, doubled or reordered, large ones on slow
links, cuts in either direction, and processes that are gone.

It behaves as TCP does. What is sent on a connection during a cut is sent again until the cut has ended or the sender
has given the connection up. Whoever sends to a process that is gone, or that has closed its end, is told by a reset,
one delay later; a reset is not repeated, so a cut may swallow it. What casts lose, they lose for good.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gossip.view import Address
from node.net.frames import Ping
from node.net.messages import Answer, Promise, Request
from tests.sim.loop import Host, VirtualLoop
from tests.sim.trace import Trace, brief, name_of

if TYPE_CHECKING:
    from tests.sim.link import Connection, Way
    from tests.sim.port import Port

REPEAT_S = 0.2
"""What did not get through is sent again after about this time."""


class Rates(NamedTuple):
    """How bad the network is."""

    delay_s: float = 0.002
    """At most, each way; messages overtake each other."""
    steady: bool = False
    """Each message takes just that."""
    slow: float = 0.01
    """Share of messages that take a hundred times as long."""
    cast_loss: float = 0.05
    cast_double: float = 0.02
    bytes_s: float | None = None
    """What one connection carries each way: what is sent on it waits for what was sent before. None: no bound."""


Watcher = Callable[[Address, Address, Request], None]
AnswerWatcher = Callable[[Address, Address, Promise, Answer], None]


class Network:
    """`cuts` holds (from, to) pairs between which nothing passes; `watchers` are told of each call as it is sent,
    `answer_watchers` of each answer to a Promise: who answers whom, to what, and how."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, rates: Rates, trace: Trace | None) -> None:
        self.loop = loop
        self.rates = rates
        self.trace = trace
        self.cuts: set[tuple[Address, Address]] = set()
        self.ports: dict[Address, Port] = {}
        """The processes that listen."""
        self.watchers: list[Watcher] = []
        self.answer_watchers: list[AnswerWatcher] = []
        self.random = rng.random

    def listen(self, port: Port) -> None:
        self.ports[port.address] = port

    def kill(self, address: Address) -> None:
        """The process at `address` is gone: its kernel resets its connections."""
        for connection in self.ports.pop(address).die():
            self.reset(connection)

    # What travels. Each takes a while, and is then the other process's to deal with, if that is there and runs.

    def dial(self, connection: Connection) -> None:
        """There and back for the connection, and there for the handshake, of which the other way is an acceptance."""
        self._later(self._dial_arrives, connection, ways=3)

    def accept(self, connection: Connection, answerer: Port) -> None:
        self._later(self._acceptance_arrives, connection, answerer)

    def ask(self, connection: Connection, data: bytes, id_: int, request: Request | Ping) -> None:
        asker = connection.asker.address
        if not connection.asker.host.alive:
            return  # A watcher has killed it in the middle of its turn.
        told = self.trace and f"{name_of(asker)} -> {name_of(connection.to)} #{id_} {brief(request)}"
        self._later(self._call_arrives, connection, data, told, after_s=self._carry_s(connection.ways[0], data))
        if isinstance(request, Promise):
            connection.promises[id_] = request
        if self.watchers and not isinstance(request, Ping):
            for watcher in list(self.watchers):
                watcher(asker, connection.to, request)

    def reply(self, connection: Connection, data: bytes, id_: int, answer: Answer) -> None:
        told = self.trace and f"{name_of(connection.to)} => {name_of(connection.asker.address)} #{id_} {brief(answer)}"
        self._later(self._reply_arrives, connection, data, told, after_s=self._carry_s(connection.ways[1], data))
        if (promise := connection.promises.pop(id_, None)) is not None:
            for watcher in list(self.answer_watchers):
                watcher(connection.to, connection.asker.address, promise, answer)

    def reset(self, connection: Connection) -> None:
        """From the side that answers, or its kernel, to the one that asks."""
        self._later(self._reset_arrives, connection)

    def cast(self, sender: Port, to: Address, data: bytes, told: str | None) -> None:
        if self.random() < self.rates.cast_loss:
            return
        self._later(self._cast_arrives, sender, to, data, told)
        if self.random() < self.rates.cast_double:
            self._later(self._cast_arrives, sender, to, data, told)

    # Arrivals

    def _dial_arrives(self, connection: Connection) -> None:
        asker, to = connection.asker.address, connection.to
        if (asker, to) in self.cuts:
            self._repeat(connection, self._dial_arrives, connection)
        elif (answerer := self.ports.get(to)) is None:
            self.reset(connection)
        else:
            self._hand(answerer.host, answerer.dialled, connection)

    def _acceptance_arrives(self, connection: Connection, answerer: Port) -> None:
        asker = connection.asker
        if (connection.to, asker.address) in self.cuts:
            self._repeat(connection, self._acceptance_arrives, connection, answerer)
        elif asker.host.alive:
            self._hand(asker.host, asker.accepted, connection, answerer)

    def _call_arrives(self, connection: Connection, data: bytes, told: str | None) -> None:
        asker, answerer = connection.asker, connection.answerer
        assert answerer is not None
        if self.cuts and (asker.address, connection.to) in self.cuts:
            self._repeat(connection, self._call_arrives, connection, data, told)
            return
        if self.trace and told:
            self.trace(told if answerer.host.alive else f"{told}  !! nobody there")
        if answerer.host.alive:
            self._hand(answerer.host, answerer.asked, connection, data)
        else:
            self.reset(connection)

    def _reply_arrives(self, connection: Connection, data: bytes, told: str | None) -> None:
        asker = connection.asker
        if self.cuts and (connection.to, asker.address) in self.cuts:
            self._repeat(connection, self._reply_arrives, connection, data, told)
        elif asker.host.alive:
            if self.trace and told:
                self.trace(told)
            self._hand(asker.host, asker.answered, connection, data)

    def _reset_arrives(self, connection: Connection) -> None:
        asker = connection.asker
        if (connection.to, asker.address) not in self.cuts and asker.host.alive:
            self._hand(asker.host, asker.lost, connection)

    def _cast_arrives(self, sender: Port, to: Address, data: bytes, told: str | None) -> None:
        port = self.ports.get(to)
        if port is not None and (sender.address, to) not in self.cuts:
            if self.trace and told:
                self.trace(told)
            self._hand(port.host, port.heard, port.resets, sender.address, sender.cluster, data)

    # Ways

    def _carry_s(self, way: Way, data: bytes) -> float:
        """How long it takes until these bytes have left."""
        if self.rates.bytes_s is None:
            return 0.0
        now = self.loop.now
        way.busy_until = max(way.busy_until, now) + len(data) / self.rates.bytes_s
        return way.busy_until - now

    def _later(self, arrive: Callable[..., None], *what: object, after_s: float = 0.0, ways: int = 1) -> None:
        delay_s = sum(self._delay_s() for _ in range(ways))
        self.loop.post(after_s + delay_s, arrive, what)

    def _delay_s(self) -> float:
        """Of one message, one way."""
        delay_s = self.rates.delay_s * (1.0 if self.rates.steady else self.random())
        return delay_s * 100 if self.random() < self.rates.slow else delay_s

    def _repeat(self, connection: Connection, arrive: Callable[..., None], *what: object) -> None:
        if connection.open:
            self.loop.post(REPEAT_S * (0.5 + self.random()), arrive, what)

    def _hand(self, host: Host, act: Callable[..., None], *what: object) -> None:
        """As `host`: at once if it runs; when it runs again if it is frozen."""
        if host.runs:
            host.context.run(act, *what)
        else:
            self.loop.call_soon(act, *what, context=host.context)
