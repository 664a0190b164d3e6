"""The parts by which node A coordinates a change, among peers that answer from a script."""

from __future__ import annotations

from gossip.view import Address, View, ViewId
from node.net.messages import (
    Adopt,
    Answer,
    AskStatus,
    Confirm,
    Confirmed,
    CountKeys,
    Hello,
    KeyCounts,
    Owed,
    Promise,
    Promised,
    Release,
    Request,
    Status,
    Unable,
    ViewIs,
)
from node.state_log import StateLog
from node.views.asking import Asking
from node.views.census import LastHeard
from node.views.coordinator import Coordinator
from node.views.forecast import Forecaster
from ring.hashing import unpack
from tests.node.parts import A, B, C, Parts, node_a
from tests.node.samples import successor


class Coordinating:
    """What A needs for it. `heard`: what gossip last heard of others' keys."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.heard: dict[Address, LastHeard] = {}
        self.waiting: tuple[Owed, ...] = ()
        """What A itself waits for."""
        asking = self.asking = Asking(parts.config, parts.time, parts.views, parts.calls, self._answer_here, StateLog())
        self.coordinator = Coordinator(
            parts.config,
            parts.time,
            parts.views,
            parts.calls,
            asking,
            parts.confirming,
            parts.time.wall_ms,
            lambda: self.heard,
        )
        self.forecaster = Forecaster(parts.config, parts.views, parts.calls, asking, lambda: self.heard)

    async def _answer_here(self, request: Request) -> Answer:
        views = self.parts.views
        match request:
            case AskStatus():
                promised = views.promisee().epoch
                return Status(views.view_id, promised, "", 0, (), self.waiting, not self.waiting, False)
            case Promise():
                return await views.promise(request)
            case Release(epoch, who):
                await views.release(epoch, who)
            case CountKeys(partitions):
                return KeyCounts((1,) * len(unpack(partitions)))
        return ViewIs(views.current.encoded)


class Peer:
    """Stands in for a node that takes part in whatever A coordinates, and holds the view that A holds, once told."""

    def __init__(self, parts: Parts, view: View | None = None) -> None:
        self._parts = parts
        self.view: ViewId = (view or parts.views.current).id
        self.promised = 0
        self.takes_views = True
        self.promises = True
        self.supports = True
        """Whether it has held no rival of the view that it holds."""
        self.knows = False
        """Whether it knows that this is established."""
        self.handing: tuple[Owed, ...] = ()
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        match request:
            case AskStatus():
                return Status(self.view, self.promised, "", 0, self.handing, (), not self.handing, False)
            case Promise() if self.promises:
                return Promised(self.supports, self.knows)
            case Confirm() if self.view == self._parts.views.view_id:
                return Confirmed(self.supports, self.knows)
            case Adopt() if self.takes_views:
                self.view = self._parts.views.view_id
                return ViewIs(self._parts.views.current.encoded)
            case CountKeys(partitions):
                return KeyCounts((1,) * len(unpack(partitions)))
            case Hello() | Release() | Confirm():
                return ViewIs(self._parts.views.current.encoded)
        return Unable()


def peers_of(parts: Parts, *addresses: Address) -> list[Peer]:
    """From now on, these answer."""
    peers = [Peer(parts) for _ in addresses]
    parts.peers.script.update(zip(addresses, peers, strict=True))
    return peers


async def of_three() -> Parts:
    """A, in a view of epoch 3 with B and C."""
    parts = await node_a(A)
    await parts.views.adopt(successor(parts.views.current, A, B, C, epoch=3), A)
    return parts
