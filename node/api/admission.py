"""Who is let in: the counts that go with `node.limits`, and what is told to those for whom there is no room.

Whoever is refused gets a 503 with `Retry-After`, at once: a queue would only hold more of them. Nothing here waits, nor
knows of sockets; how long somebody may take over something, those say who wait for it, and they count here whom they
have dropped.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from ipaddress import IPv6Address
from typing import NamedTuple

from aiohttp import web

from node.api.answers import HttpAnswer, render_fault
from node.api.turnstile import Turnstile
from node.errors import Reason, Unavailable
from node.limits import Limits

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0
"""That a limit is reached is logged no more often."""


class Limit(StrEnum):
    """As it is named in `LIMITS`, and counted."""

    CONNECTIONS = "connections"
    PER_ADDRESS = "connections-per-address"
    REQUESTS = "requests"
    WATCHERS = "watchers"
    LISTINGS = "listings"
    BATCHES = "batches"
    EXPORTS = "exports"
    MEMORY = "memory"
    """In bytes."""


class Dropped(StrEnum):
    """Who was not waited for any longer, as it is counted."""

    SLOW_HEAD = "slow-head"
    """It began a request, and did not end its head."""
    SLOW_READER = "slow-reader"
    """It took no more of an answer."""
    SILENT = "silent"
    """There was no room for it, and it did not say that it is a node."""


class Bounds(NamedTuple):
    """What a connection that aiohttp serves goes by."""

    admission: Admission
    head_s: float
    """For the head of a request to arrive."""
    answer_s: Callable[[int], float]
    """For an answer of so many bytes to be taken."""


class Room:
    """For what one limit bounds."""

    __slots__ = ("limit", "most", "refused", "said_at", "used")

    def __init__(self, limit: Limit, most: int) -> None:
        self.limit = limit
        self.most = most
        self.used = 0
        self.refused = 0
        self.said_at = float("-inf")

    def has(self, amount: int) -> bool:
        return self.used + amount <= self.most


class Admission:
    """Of one node. `monotonic`: seconds."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.rooms = {limit: Room(limit, most) for limit, most in _most_of(limits).items()}
        self.requests = self.rooms[Limit.REQUESTS]
        self.memory = self.rooms[Limit.MEMORY]
        self._connections = self.rooms[Limit.CONNECTIONS]
        self._per_address = self.rooms[Limit.PER_ADDRESS]
        """How many from there is counted by address, and shown nowhere: only how often there were too many."""
        self._of_address: Counter[str] = Counter()
        self.dropped = dict.fromkeys(Dropped, 0)
        self.turnstile = Turnstile()
        """By which those go on that have sent requests ahead."""

    # Connections

    def has_too_many(self, address: str) -> bool:
        """Whether who comes from there has to be refused for that alone."""
        if self._of_address[network_of(address)] < self._per_address.most:
            return False
        self.refuse(self._per_address)
        return True

    @property
    def is_full(self) -> bool:
        """Whether another connection takes the place of one that is idle, if of any."""
        return not self._connections.has(1)

    def no_connection(self, is_said: bool) -> None:
        """One was refused as there are too many in all. `is_said`: the log says so already."""
        if is_said:
            self._connections.refused += 1
        else:
            self.refuse(self._connections)

    def arrive(self, address: str) -> Visit:
        self._connections.used += 1
        network = network_of(address)
        self._of_address[network] += 1
        return Visit(self, network)

    def leave(self, network: str) -> None:
        self._connections.used -= 1
        self._of_address[network] -= 1
        if not self._of_address[network]:
            del self._of_address[network]

    # Requests

    def begin(self, method: str, bytes_: int) -> HttpAnswer | None:
        """One with a body of so many bytes, by the short way, that takes time. What it is told if there is no room for
        it; None: it has begun, and `end` is to follow. The hot path."""
        requests, memory = self.requests, self.memory
        if requests.used < requests.most and memory.used + bytes_ <= memory.most:
            requests.used += 1
            memory.used += bytes_
            return None
        return render_fault(
            method, self.refuse(memory if requests.has(1) else requests).before_anything(method != "GET")
        )

    def end(self, bytes_: int) -> None:
        self.requests.used -= 1
        self.memory.used -= bytes_

    def stay(self, limit: Limit) -> Stay:
        """Of a request that comes by aiohttp. Raises Unavailable."""
        room = self.rooms[limit]
        if not room.has(1):
            raise self.refuse(room).before_anything()
        return Stay(self, room)

    def refuse(self, room: Room) -> Unavailable:
        """What who is refused is told."""
        room.refused += 1
        now = self._monotonic()
        if now - room.said_at > SAY_EVERY_S:
            room.said_at = now
            log.warning("clients are refused: of %s there are %d, and %d allowed", room.limit, room.used, room.most)
        text = "Too much memory is taken" if room.limit is Limit.MEMORY else f"Too many {room.limit.replace('-', ' ')}"
        return Unavailable(text).because(Reason.CLIENTS)


class Visit:
    """A connection of a client, as long as it counts."""

    __slots__ = ("_admission", "_network")

    def __init__(self, admission: Admission, network: str) -> None:
        self._admission: Admission | None = admission
        self._network = network

    def leave(self) -> None:
        """It has ended, or is that of a node."""
        if self._admission is not None:
            self._admission.leave(self._network)
            self._admission = None


class Stay:
    """A request by aiohttp, with what it holds of memory, until it is answered and the answer is sent."""

    __slots__ = ("_admission", "_bytes", "_room")

    def __init__(self, admission: Admission, room: Room) -> None:
        room.used += 1
        self._admission = admission
        self._room: Room | None = room
        self._bytes = 0

    def hold(self, bytes_: int) -> None:
        """So much more. Raises Unavailable."""
        memory = self._admission.memory
        if not memory.has(bytes_):
            raise self._admission.refuse(memory)
        memory.used += bytes_
        self._bytes += bytes_

    def end(self) -> None:
        """May be told more than once: whoever refuses it ends it, and so does who has sent that."""
        self._admission.memory.used -= self._bytes
        self._bytes = 0
        if self._room is not None:
            self._room.used -= 1
            self._room = None


STAY = web.RequestKey("stay", Stay)
"""Where a request has its own."""


def hold(request: web.BaseRequest, bytes_: int) -> None:
    """It holds so much more, until it is answered. Raises Unavailable."""
    if (stay := request.get(STAY)) is not None:
        stay.hold(bytes_)


def end_stay(request: web.BaseRequest) -> None:
    if (stay := request.get(STAY)) is not None:
        stay.end()


def network_of(address: str) -> str:
    """Who has one address of IPv6 mostly has 2^64 of them."""
    if ":" not in address:
        return address
    try:
        return IPv6Address(address.partition("%")[0]).packed[:8].hex()
    except ValueError:
        return address


def _most_of(limits: Limits) -> Mapping[Limit, int]:
    return {
        Limit.CONNECTIONS: limits.connections,
        Limit.PER_ADDRESS: limits.connections_per_address,
        Limit.REQUESTS: limits.requests,
        Limit.WATCHERS: limits.watchers,
        Limit.LISTINGS: limits.listings,
        Limit.BATCHES: limits.batches,
        Limit.EXPORTS: limits.exports,
        Limit.MEMORY: limits.memory_bytes,
    }
