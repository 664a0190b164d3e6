"""Peers that stand in for other nodes, and the transport that asks them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import gossip.messages
from gossip.view import Address, ViewId
from node.errors import PeerLate, PeerLost, PeerRefused
from node.net import lanes
from node.net.messages import (
    Adopt,
    Answer,
    AskHolding,
    AskStatus,
    Compare,
    Confirm,
    Confirmed,
    Differing,
    Fetch,
    Fetched,
    Heartbeat,
    HeartbeatAnswer,
    Hello,
    NoRoom,
    Offer,
    Owed,
    Promise,
    Promised,
    Push,
    Read,
    Replicate,
    Request,
    Status,
    Taken,
    Unable,
    ViewIs,
    Wanted,
    Write,
    WriteIf,
)
from node.net.transport import Answering, Handler, answer_of
from node.timing.clock import HybridClock
from node.values.record import Record, decode_record, version_of
from node.views.holder import Views
from ring.hashing import pack, partition_of, unpack
from tests.node.samples import CONFIG

THEIR_ID = 7
"""The store id of every co-owner here."""
NETWORK_S = 0.01
"""There and back; longer than a commit's waiters take to run."""


class BulkLane:
    """Stands in for the link for transfers to one of them."""

    def __init__(self, peers: ScriptedPeers, to: Address) -> None:
        self.bytes_on_the_way = 0
        self._peers = peers
        self._to = to

    async def call(self, request: Request, view_id: ViewId, timeout_s: float, attempt: bool) -> Answer:
        return await self._peers.answer_of(self._to, request, timeout_s, attempt)

    def watch(self) -> None:
        pass

    def unwatch(self) -> None:
        pass

    def is_down(self) -> bool:
        return self._peers.is_down(self._to)


class ScriptedPeers:
    """Stands in for the transport: its peers answer from `script`, at once or in a while; those not in it refuse the
    connection, and those of `silent` let their callers wait until they take them for down. Keeps what was asked of
    whom, and cast to whom."""

    def __init__(self) -> None:
        self.script: dict[Address, Callable[[Request], Answering]] = {}
        self.silent: set[Address] = set()
        self.found_silent: set[Address] = set()
        self.strangers: set[Address] = set()
        """Of clusters with other names."""
        self.refused: dict[Address, str] = {}
        """Why they are turned away."""
        self.older: set[Address] = set()
        """Of a release that knows of no expiry."""
        self.asked: list[tuple[Address, Request]] = []
        self.attempts: list[Address] = []
        """Who was asked by calls that say nothing about it if they are not answered in time."""
        self.casts: list[tuple[Address, gossip.messages.Message]] = []
        self.resets = 0
        self._bulk: dict[Address, BulkLane] = {}
        self.slowed_s = 0.0
        """What has passed by the time that others are judged by, beyond the loop's."""

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        pass

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
            lane = self._bulk.setdefault(to, BulkLane(self, to))
            return await lanes.carry(lane, CONFIG, request, view_id, timeout_s, request.carried_bytes(), attempt)
        return await self.answer_of(to, request, timeout_s, attempt)

    async def answer_of(self, to: Address, request: Request, timeout_s: float, attempt: bool) -> Answer:
        self.asked.append((to, request))
        if attempt:
            self.attempts.append(to)
        if self.is_down(to):
            raise PeerRefused(f"{to} is down")
        if to in self.silent:
            await asyncio.sleep(timeout_s)
            self.found_silent.add(to)
            raise PeerLost(f"{to} is silent")
        answer = self.script[to](request)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer_of(answer)
        except TimeoutError:
            raise (PeerLate if attempt else PeerLost)(f"{to} is too late") from None

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        self.casts.append((to, message))

    def is_down(self, to: Address) -> bool:
        return to not in self.script if to not in self.silent else to in self.found_silent

    def silence_s(self, to: Address) -> float:
        return CONFIG.silence_s

    def dial_anew(self, to: Address) -> None:
        self.found_silent.discard(to)

    def is_older(self, to: Address) -> bool:
        return to in self.older

    def is_stranger(self, to: Address) -> bool:
        return to in self.strangers

    def why_refused(self, to: Address) -> str:
        return self.refused.get(to, "")

    def round_trip_s(self, to: Address) -> float | None:
        return None

    def running(self) -> float:
        return asyncio.get_running_loop().time() + self.slowed_s

    def reset(self) -> None:
        self.resets += 1

    async def close(self) -> None:
        pass


class CoOwner:
    """Stands in for another replica of the shard, in step with whoever asks it unless it is told otherwise. While
    `is_free` is not set, what it is sent stays unconfirmed. It knows of no other nodes or views."""

    def __init__(self, *held: tuple[bytes, Record]) -> None:
        self.held = dict(held)
        self.lease_granted = True
        self.is_empty = False
        self.delay_s = 0.0
        """Of its answers to heartbeats."""
        self.confirms = True
        self.has_room = True
        self.holds_view = True
        """Whether it holds the view under which it is asked to confirm that."""
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.sent: list[Replicate] = []
        """What it was sent, whether it has confirmed it or not."""

    async def __call__(self, request: Request) -> Answer:
        match request:
            case Heartbeat():
                await asyncio.sleep(self.delay_s)
                return HeartbeatAnswer(THEIR_ID, self.is_empty, self.is_empty, self.lease_granted, False)
            case Fetch(key):
                return Fetched(self.held[key].encode() if key in self.held else None)
            case Confirm() if self.holds_view:
                return Confirmed(True, False)
            case Replicate(records):
                self.sent.append(request)
                await asyncio.sleep(NETWORK_S)
                await self.is_free.wait()
                if not self.has_room:
                    return NoRoom()
                if not self.confirms:
                    return Unable()
                self._keep(records)
                return Taken()
            case Compare():
                return Differing(b"", b"")
            case Push(records):
                self._keep(records)
                return Taken()
            case Hello() | AskHolding() | Confirm():
                return Unable()
        raise AssertionError(request)

    def _keep(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        self.held |= {key: decode_record(encoded) for key, encoded in records}

    @property
    def keys_sent(self) -> list[list[bytes]]:
        return [[key for key, _ in message.records] for message in self.sent]


class Taker:
    """Stands in for a node that is brought records: it holds some already, and keeps what was asked of it."""

    def __init__(self, *held: tuple[bytes, Record]) -> None:
        self.held = dict(held)
        self.offered: list[bytes] = []
        self.pushed: list[bytes] = []
        self.finished: list[int] = []
        self.pushes = 0
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.refuses: type[Request] | None = None

    async def __call__(self, request: Request) -> Answer:
        if self.refuses is not None and isinstance(request, self.refuses):
            return Unable()
        match request:
            case Compare(partitions, digests):
                return self._compare(unpack(partitions), digests)
            case Offer(versions):
                self.offered += [key for key, _ in versions]
                wanted = [i for i, (key, version) in enumerate(versions) if self._lacks(key, version)]
                return Wanted(pack(wanted))
            case Push(records, finished):
                self.pushes += 1
                await self.is_free.wait()
                self.pushed += [key for key, _ in records]
                self.finished += unpack(finished)
                self.held |= {
                    key: decode_record(encoded) for key, encoded in records if self._lacks(key, version_of(encoded))
                }
                return Taken()
        raise AssertionError(request)

    def _lacks(self, key: bytes, version: bytes) -> bool:
        return key not in self.held or self.held[key].version < version

    def _compare(self, partitions: Iterable[int], digests: bytes) -> Answer:
        """Of at most one key in each partition, as that of one who holds just this one record."""
        mine = {partition_of(key): key for key in self.held}
        empty = [partition for partition in partitions if partition not in mine]
        different = [
            partition
            for place, partition in enumerate(partitions)
            if partition in mine and digests[8 * place : 8 * place + 8] != self.digest_of[mine[partition]]
        ]
        return Differing(pack(empty), pack(different))

    digest_of: dict[bytes, bytes]
    """Of the partition of each key that it holds."""


class OwnerInTurn:
    """Stands in for the owner of a key: it answers reads and writes as told, in turn, and keeps the versions that it
    was sent."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.versions: list[bytes] = []

    def __call__(self, request: Request) -> Answering:
        if not isinstance(request, Read | Write | WriteIf):
            return ViewIs(b"")
        if isinstance(request, Write | WriteIf):
            self.versions.append(request.version)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Newcomer:
    """Stands in for a node outside the view in force that is to come in, with `keys` of an earlier view or `handing`
    some over already; `told` is what the coordinator has said to it."""

    def __init__(self, views: Views, view: ViewId, keys: int, handing: tuple[Owed, ...] = ()) -> None:
        """`views`: which the coordinator holds. `view`: what the newcomer holds."""
        self._views = views
        self.view = view
        self.keys = keys
        self.handing = handing
        self.told: list[str] = []

    def __call__(self, request: Request) -> Answer:
        match request:
            case AskStatus():
                holds = bool(self.keys or self.handing)
                status = Status(self.view, 0, "", self.keys, self.handing, (), not self.handing, holds)
                self.handing = ()  # It has brought home what it holds by the time that it is asked again.
                return status
            case Adopt(view):
                self.told.append("the view in force" if view == self._views.current.encoded else "a new view")
                if self.view != self._views.view_id:
                    self.view, self.handing = self._views.view_id, (Owed(min(self._views.current.nodes), 1, self.keys),)
                self.keys = 0
                return ViewIs(view)
            case Promise():
                self.told.append("promise" if not self.keys and not self.handing else "promise, before it was home")
                return Promised()
        return Unable()
