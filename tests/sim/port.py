"""One process's end of the simulated network: a `node.net.transport.Transport` for a `Host`.

The rules of its links are not imitated: each is a `LinkState`, with the timing of the machine's own configuration, as
in `node.net.dialer`. What is simulated is what lies below: the connections, which behave as TCP does (see `network`).
Every message goes through the real encoder and decoder. What a broken connection had not delivered is never executed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator

import msgspec

import gossip.messages
from gossip.view import Address, ViewId
from node.config import Config
from node.errors import StorageFault
from node.net import lanes
from node.net.frames import Ping, Reply, ReplyFrame, decode_calls, decode_replies, encode
from node.net.handshake import Doorkeeper
from node.net.messages import Answer, Request, Taken, Unable
from node.net.transport import Handler
from node.timing.clock import HybridClock
from node.timing.running import RunningTime
from tests.sim.link import Connection, Link
from tests.sim.loop import Host
from tests.sim.network import Network


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
        self.resets = 0
        """How often all links were."""
        self._doorkeeper = Doorkeeper(config.address, config.cluster, self.time.now)

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
        if bulk:
            bytes_ = request.carried_bytes()
            return await lanes.carry(self.lane(to, True), self._config, request, view_id, timeout_s, bytes_, attempt)
        return await lanes.call(self, to, self._config, request, view_id, timeout_s, attempt)

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        self.lane(to, False).cast(message)

    def is_down(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.state.is_down

    def dial_anew(self, to: Address) -> None:
        for bulk in (False, True):
            if (link := self._links.get((to, bulk))) is not None:
                link.do(link.state.doubted(self.time.now()))

    def is_older(self, to: Address) -> bool:
        return False

    def is_stranger(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.is_stranger

    def why_refused(self, to: Address) -> str:
        return ""

    def silence_s(self, to: Address) -> float:
        link = self._links.get((to, False))
        return self._config.silence_s if link is None else link.state.trips.silence_s

    def round_trip_s(self, to: Address) -> float | None:
        link = self._links.get((to, False))
        return None if link is None else link.state.trips.least_s

    def running(self) -> float:
        return self.time.now()

    def reset(self) -> None:
        self.resets += 1
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

    def lane(self, to: Address, bulk: bool) -> Link:
        link = self._links.get((to, bulk))
        if link is None:
            link = self._links[to, bulk] = Link(self, to, self._network, self._config, bulk)
        return link

    def note_large(self, to: Address, is_through: bool) -> None:
        pass

    def note_silence(self, peer: Address) -> None:
        if (link := self._links.get((peer, True))) is not None:
            link.do(link.state.peer_silent(self.time.now()))

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
        if not connection.open:
            return
        for reply in frame.replies:
            state = connection.link.state
            answer = state.answered(reply.id)
            if answer is None:
                state.trips.note_answer(reply.id, self.time.now())
            elif not answer.done():
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
        self.dial_anew(connection.asker.address)
        if connection.open:
            self._served = {served: None for served in self._served if served.open}
            self._served[connection] = None
            self._network.accept(connection, self)

    def heard(self, resets: int, sender: Address, cluster: str, data: bytes) -> None:
        """A cast, which in truth comes over a link. `resets`: as they were when it arrived."""
        if cluster != self.cluster or resets != self.resets:
            return
        frame = decode_calls(data)
        self.clock.hear(sender, frame.clocks)
        if resets != self.resets:
            return
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
        if not connection.open:
            return
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
            answer = lanes.fit(answer, is_small=not connection.link.is_bulk)
            data = encode(ReplyFrame(self.clock.clocks, (Reply(id_, answer),)))
            self._network.reply(connection, data, id_, answer)
