"""Two ends of a network on which a transport is tested, and what can be done to them and asked of them."""

from __future__ import annotations

import asyncio
from typing import Protocol

import gossip.messages
from gossip.view import Address, ViewId
from node.errors import PeerFault
from node.net.messages import Answer, Read, ReadResult, Request, Write, Wrote
from node.net.transport import Answering, Transport
from node.timing.clock import HybridClock
from tests.cluster import eventually
from tests.node.fakes.clocks import ClockMemory, HandTime
from tests.node.samples import CONFIG

VIEW_ID = ViewId(3, 2**64 - 1)
PATIENT_S = 10.0
"""For calls that are to be answered, however busy the machine."""
SHORT_S = 0.7
"""For calls that are not: longer than a silence lasts."""
ATTEMPT_S = 0.6
"""What an owner gets that is one of several."""
HURRIED_S = 0.1
VERSION = b"v" * 16


class Echo:
    """Stands in for a node: keeps what it was asked, and answers a read with its key, once it may: see `go_on`."""

    PROMPT = b"prompt"
    """A call about this key is answered even while the others wait."""
    LARGE = b"large"
    """A read of this key is answered with a value of 1 MiB."""

    def __init__(self) -> None:
        self.calls: list[tuple[Address, ViewId, Request]] = []
        self.casts: list[tuple[Address, gossip.messages.Message]] = []
        self.budgets_s: list[float] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    def answer(self, sender: Address, view_id: ViewId, budget_s: float, request: Request) -> Answering:
        self.calls.append((sender, view_id, request))
        self.budgets_s.append(budget_s)
        at_once = self.go_on.is_set() or self.keys[-1:] == [self.PROMPT]
        return self._answer(request) if at_once else self._answer_later(request)

    def hear(self, sender: Address, message: gossip.messages.Message) -> None:
        self.casts.append((sender, message))

    async def _answer_later(self, request: Request) -> Answer:
        await self.go_on.wait()
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        if isinstance(request, Read):
            return ReadResult(b"x" * 1024 * 1024 if request.key == self.LARGE else request.key)
        return Wrote(True)

    @property
    def keys(self) -> list[bytes]:
        return [request.key for _, _, request in self.calls if isinstance(request, Read | Write)]


class Peer:
    """One end of the network."""

    def __init__(self, address: Address, transport: Transport) -> None:
        self.address = address
        self.transport = transport
        self.handler = Echo()
        memory = ClockMemory()
        self.clock = HybridClock(CONFIG, HandTime(), 1, memory.memory, memory.remember)
        transport.attach(self.clock, self.handler)

    async def ask(self, to: Peer, key: bytes, timeout_s: float = PATIENT_S) -> Answer:
        return await self.transport.call(to.address, Read(key), VIEW_ID, timeout_s)

    async def attempt(self, to: Peer, key: bytes) -> Answer:
        return await self.transport.call(to.address, Read(key), VIEW_ID, ATTEMPT_S, attempt=True)

    async def ask_until_answered(self, to: Peer, key: bytes) -> Answer:
        async def answered() -> Answer | None:
            try:
                return await self.ask(to, key, SHORT_S)
            except PeerFault:
                return None

        answer = await eventually(answered, f"an answer of {to.address}")
        assert answer is not None
        return answer


async def arrived(peer: Peer, key: bytes) -> None:
    async def seen() -> bool:
        return key in peer.handler.keys

    await eventually(seen, f"a call about {key!r}")


class Network(Protocol):
    """Where two nodes can speak, and what can go wrong between them."""

    a: Peer
    b: Peer

    def silence(self, peer: Peer) -> None:
        """What is sent to `peer`, and what it sends, stays on its way; no error tells of it."""

    async def restore(self, peer: Peer) -> None:
        """What is still on its way arrives, but for what its sender has taken back by a reset."""

    async def kill(self, peer: Peer) -> None:
        """`peer` ends at once; whoever speaks to it is told."""

    async def revive(self, peer: Peer) -> None:
        """After `kill`: it listens again."""


async def unanswered(network: Network, key: bytes) -> asyncio.Task[Answer]:
    """A call of `a` that has reached `b`, and waits there until `b` may `go_on`."""
    network.b.handler.go_on.clear()
    call = asyncio.create_task(network.a.ask(network.b, key))
    await arrived(network.b, key)
    return call


def delta(peer: Peer) -> gossip.messages.Message:
    record = gossip.messages.MemberRecord(peer.address, 1, 2, 3, 4, 5)
    return gossip.messages.Delta(VIEW_ID, record, (), (), ())
