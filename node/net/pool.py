"""The real transport: WebSocket links between nodes, on the port that serves clients too.

A link carries the calls of one side and the answers of the other, so between two nodes there are two, each dialled by
the side that asks. That takes no tie-breaking when both dial at once, and what a node knows of a peer ("it answered
me") is its own evidence. Transfers have a link of their own, and so has what is large: see `lanes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

import aiohttp

import gossip.messages
from gossip.view import Address, ViewId
from node.certificates import Certificates
from node.cluster_secret import Secrets
from node.config import Config
from node.net import lanes
from node.net.acceptor import Acceptor
from node.net.dialer import Link
from node.net.distances import Distances
from node.net.handshake import Doorkeeper
from node.net.lanes import LargeLog
from node.net.messages import Answer, Request
from node.net.names import Names
from node.net.peer_certificates import PeerCertificates
from node.net.protocol import SPOKEN, Protocols
from node.net.proving import Prover
from node.net.transport import Handler
from node.secret_files import SecretFile
from node.timing.clock import HybridClock
from node.timing.running import RunningTime


class Peers:
    """The links of one node: those that it dials, and by `acceptor` those that it answers on. Needs a running event
    loop. `process`, `found_itself` and `protocols` are for the `Doorkeeper`."""

    _clock: HybridClock

    def __init__(
        self,
        config: Config,
        process: str = "",
        found_itself: Callable[[str], None] = lambda _: None,
        names: Names | None = None,
        secret: SecretFile[Secrets] | None = None,
        certificates: Certificates | None = None,
        protocols: Protocols = SPOKEN,
    ) -> None:
        """`names`: else those of the system. `secret`: that of the cluster, if it has one. `certificates`: that of this
        node, and of whom it believes; None: links are in the clear."""
        self._time = RunningTime(config.pause_check_s)
        now = self._time.now
        self._doorkeeper = Doorkeeper(config.address, config.cluster, now, process, found_itself, protocols)
        self._prover = Prover(config.address, config.cluster, secret, self._doorkeeper.refuse)
        self._certificates = PeerCertificates(certificates, self._doorkeeper.refuse)
        self.acceptor = Acceptor(config, self._doorkeeper, self._prover, self._certificates, self._note_dialled)
        self._config = config
        self._names = names or Names(config.lookup_slow_s)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False, resolver=self._names),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._links: dict[tuple[Address, bool], Link] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._distances = Distances(config)
        self._large = LargeLog()

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        self._clock = clock
        self.acceptor.attach(clock, handler)

    def call(
        self,
        to: Address,
        request: Request,
        view_id: ViewId,
        timeout_s: float,
        bulk: bool = False,
        attempt: bool = False,
    ) -> Coroutine[None, None, Answer]:
        if bulk:
            bytes_ = request.carried_bytes()
            return lanes.carry(self.lane(to, True), self._config, request, view_id, timeout_s, bytes_, attempt)
        return lanes.call(self, to, self._config, request, view_id, timeout_s, attempt)

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        self.lane(to, False).cast(message)

    def is_down(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.is_down()

    def is_stranger(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.is_stranger

    def why_refused(self, to: Address) -> str:
        return self._doorkeeper.why_refused(to)

    def is_older(self, to: Address) -> bool:
        link = self._links.get((to, False))
        return link is not None and link.is_older

    def dial_anew(self, to: Address) -> None:
        for bulk in (False, True):
            if (link := self._links.get((to, bulk))) is not None:
                link.doubted()

    def silence_s(self, to: Address) -> float:
        link = self._links.get((to, False))
        return self._config.silence_s if link is None else link.silence_s()

    def round_trip_s(self, to: Address) -> float | None:
        link = self._links.get((to, False))
        return None if link is None else link.round_trip_s()

    def running(self) -> float:
        return self._time.now()

    def reset(self) -> None:
        for link in self._links.values():
            link.reset()
        self.acceptor.reset()

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links.values()), *self._closing)
        self._time.close()
        self.acceptor.reset()
        await self._session.close()

    def note_large(self, to: Address, is_through: bool) -> None:
        self._large.note(to, is_through)

    def _note_dialled(self, by: Address, ip: str | None) -> None:
        self._names.dialled_from(by, ip)
        self.dial_anew(by)

    def _note_silence(self, peer: Address) -> None:
        if (link := self._links.get((peer, True))) is not None:
            link.peer_silent()

    def lane(self, to: Address, bulk: bool) -> Link:
        link = self._links.get((to, bulk))
        if link is None:
            self._close_unwanted()
            link = self._links[to, bulk] = Link(
                self._session,
                self._names,
                to,
                self._clock,
                self._time,
                self._doorkeeper,
                self._prover,
                self._certificates,
                self._config,
                bulk,
                self._distances,
                _nothing if bulk else partial(self._note_silence, to),
            )
        return link

    def _close_unwanted(self) -> None:
        """Nodes come and go; that a new one came is a good moment to part with those that nobody has spoken to for
        long."""
        for to, bulk in [to for to, link in self._links.items() if link.is_unwanted()]:
            closing = asyncio.create_task(self._links.pop((to, bulk)).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            if (to, not bulk) not in self._links:
                self._names.forget(to)


def _nothing() -> None:
    """What there is to do when a link for transfers finds its peer silent: the other one judges by itself."""
