"""A simulated network under the real nodes: `node.transport.Transport` with delay, loss, cuts, and processes that are
gone.

Every message goes through the real encoder and decoder. A link breaks as a connection would: when either process dies,
when a call is not answered in time, or at a reset; what was on its way then is lost. Casts are also dropped, doubled
and reordered at random.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import gossip.messages
from gossip.view import Address, Stamp
from node.clock import HybridClock
from node.errors import PeerLost, PeerRefused, StorageFault
from node.transport import Handler
from node.wire import Answer, Call, CallFrame, Reply, ReplyFrame, Request, Unable, decode_calls, decode_replies, encode
from tests.sim.loop import Host, VirtualLoop

DIAL_S = 0.5
"""A connection that is not made within this is given up."""
REDIAL_S = 0.1


class Rates(NamedTuple):
    """How bad the network is."""

    delay_s: float = 0.002
    """At most, each way; messages overtake each other."""
    slow: float = 0.01
    """Share of messages that take a hundred times as long."""
    cast_loss: float = 0.05
    cast_double: float = 0.02


Trace = Callable[[str], None]


class Network:
    """All links. `cuts` holds (from, to) pairs between which nothing passes."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, rates: Rates, trace: Trace) -> None:
        self.loop = loop
        self.rng = rng
        self.rates = rates
        self.trace = trace
        self.cuts: set[tuple[Address, Address]] = set()
        self.ports: dict[Address, Port] = {}
        """The processes that listen."""
        self._nobody = contextvars.Context()

    def kill(self, address: Address) -> None:
        """The process at `address` is gone: its peers' connections are reset, as far as the news gets through."""
        gone = self.ports.pop(address)
        for port in self.ports.values():
            self.carry(address, port, functools.partial(port.lost, gone))

    def carry(self, sender: Address, to: Port, act: Callable[[], None]) -> None:
        """After a while, if nothing is cut then and the process is still there, do `act` as that process."""

        def arrive() -> None:
            if self.ports.get(to.address) is to and (sender, to.address) not in self.cuts:
                self.loop.call_soon(act, context=to.host.context)

        slow = 100 if self.rng.random() < self.rates.slow else 1
        delay = self.rng.uniform(0, self.rates.delay_s) * slow
        self.loop.call_later(delay, arrive, context=self._nobody)


class _Link:
    """What one process knows of its connection to one peer. A new `serial` is a new connection."""

    def __init__(self) -> None:
        self.serial = 0
        self.peer: Port | None = None
        self.down = False
        self.pending: dict[int, asyncio.Future[Answer]] = {}
        self.dialling: asyncio.Future[None] | None = None


class Port:
    """One process's end of all its links; a `Transport`."""

    clock: HybridClock
    handler: Handler

    def __init__(self, network: Network, address: Address, host: Host) -> None:
        self.address = address
        self.host = host
        self._network = network
        self._loop = network.loop
        self._links: dict[Address, _Link] = {}
        self._resets = 0
        self._last_id = 0

    # Transport

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self.clock, self.handler = clock, handler
        self._network.ports[self.address] = self

    async def call(self, to: Address, request: Request, stamp: Stamp, timeout_s: float, bulk: bool = False) -> Answer:
        link = self._link(to)
        if link.down:
            raise PeerRefused(f"{to} is down")
        try:
            async with asyncio.timeout(timeout_s):
                await self._connect(to, link)
                return await self._ask(to, link, request, stamp, timeout_s)
        except TimeoutError:
            sent = link.peer is not None
        self._break(to, link, PeerLost(f"{to} is silent"), down=True)
        raise PeerLost(f"{to} is silent") if sent else PeerRefused(f"{to} is silent")

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        rng, rates, peer = self._network.rng, self._network.rates, self._network.ports.get(to)
        if peer is None or rng.random() < rates.cast_loss:
            return
        data = encode(CallFrame(self.clock.reading, (), (message,)))
        for _ in range(2 if rng.random() < rates.cast_double else 1):
            self._network.carry(self.address, peer, functools.partial(peer.heard, self.address, data))

    def is_down(self, to: Address) -> bool:
        return self._link(to).down

    def reset(self) -> None:
        self._resets += 1
        for to, link in self._links.items():
            self._break(to, link, PeerLost("this node stood still"))
        for peer in self._network.ports.values():
            self._network.carry(self.address, peer, functools.partial(peer.lost, self))

    async def close(self) -> None:
        for to, link in self._links.items():
            self._break(to, link, PeerLost("this node is stopping"))

    # The side that asks

    def _link(self, to: Address) -> _Link:
        return self._links.setdefault(to, _Link())

    async def _connect(self, to: Address, link: _Link) -> None:
        while link.peer is None:
            if link.dialling is None:
                link.dialling = self._loop.create_future()
                self._dial(to, link)
            await asyncio.shield(link.dialling)

    def _dial(self, to: Address, link: _Link) -> None:
        """Ask for a connection; refused at once where nobody listens, given up where nobody answers."""
        dialled = link.dialling
        peer = self._network.ports.get(to)

        def settle(made: bool) -> None:
            if link.dialling is not dialled or dialled is None or dialled.done():
                return
            link.dialling = None
            if made:
                link.serial += 1
                link.peer, link.down = peer, False
                dialled.set_result(None)
                return
            if not link.down:
                link.down = True
            dialled.set_exception(PeerRefused(f"{to} refused the connection"))
            dialled.exception()
            self._loop.call_later(REDIAL_S, self._redial, to, link)

        if peer is None:
            cut = (self.address, to) in self._network.cuts or (to, self.address) in self._network.cuts
            self._loop.call_later(DIAL_S if cut else 0.001, settle, False)
            return
        self._network.carry(self.address, peer, functools.partial(peer.dialled, self, functools.partial(settle, True)))
        self._loop.call_later(DIAL_S, settle, False)

    def _redial(self, to: Address, link: _Link) -> None:
        if link.down and link.dialling is None:
            link.dialling = self._loop.create_future()
            self._dial(to, link)

    async def _ask(self, to: Address, link: _Link, request: Request, stamp: Stamp, timeout_s: float) -> Answer:
        peer, serial = link.peer, link.serial
        assert peer is not None
        self._last_id += 1
        id_ = self._last_id
        answer: asyncio.Future[Answer] = self._loop.create_future()
        link.pending[id_] = answer
        data = encode(CallFrame(self.clock.reading, (Call(id_, stamp, int(timeout_s * 1000), request),), ()))
        self._network.trace(f"{self.address} -> {to} #{id_} {request}")
        self._network.carry(self.address, peer, functools.partial(peer.asked, self, serial, data, peer._resets))
        try:
            return await answer
        finally:
            link.pending.pop(id_, None)

    def answered(self, peer: Address, serial: int, data: bytes) -> None:
        link = self._link(peer)
        if link.serial != serial or link.peer is None:
            return
        frame = decode_replies(data)
        self.clock.observe(frame.clock)
        for reply in frame.replies:
            pending = link.pending.get(reply.id)
            if pending is not None and not pending.done():
                pending.set_result(reply.answer)

    def lost(self, peer: Port) -> None:
        """The connection to `peer` was reset."""
        link = self._link(peer.address)
        if link.peer is peer:
            self._break(peer.address, link, PeerLost(f"{peer.address} closed the link"))

    def _break(self, to: Address, link: _Link, fault: PeerLost, down: bool = False) -> None:
        link.serial += 1
        link.peer = None
        for pending in link.pending.values():
            if not pending.done():
                pending.set_exception(fault)
                pending.exception()
        if down and not link.down:
            link.down = True
            self._loop.call_soon(self._redial, to, link)

    # The side that answers

    def dialled(self, sender: Port, made: Callable[[], None]) -> None:
        self._link(sender.address).down = False
        self._network.carry(self.address, sender, made)

    def heard(self, sender: Address, data: bytes) -> None:
        frame = decode_calls(data)
        self.clock.observe(frame.clock)
        for cast in frame.casts:
            self.handler.hear(sender, cast)

    def asked(self, sender: Port, serial: int, data: bytes, resets: int) -> None:
        link = sender._link(self.address)
        if resets != self._resets or link.serial != serial:
            return
        frame = decode_calls(data)
        self.clock.observe(frame.clock)
        for call in frame.calls:
            answer = self.handler.answer(sender.address, call.stamp, call.budget_ms / 1000, call.request)
            if inspect.isawaitable(answer):
                self.host.spawn(self._answer_later(sender, serial, resets, call.id, answer))
            else:
                self._reply(sender, serial, resets, call.id, answer)

    async def _answer_later(self, sender: Port, serial: int, resets: int, id_: int, answer: Awaitable[Answer]) -> None:
        try:
            self._reply(sender, serial, resets, id_, await answer)
        except StorageFault:
            self._reply(sender, serial, resets, id_, Unable())

    def _reply(self, sender: Port, serial: int, resets: int, id_: int, answer: Answer) -> None:
        if resets != self._resets:
            return
        self._network.trace(f"{self.address} -> {sender.address} #{id_} {answer}")
        data = encode(ReplyFrame(self.clock.reading, (Reply(id_, answer),)))
        self._network.carry(self.address, sender, functools.partial(sender.answered, self.address, serial, data))
