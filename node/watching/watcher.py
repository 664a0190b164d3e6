"""What waits to be told to one client: bounded, since a client that reads nothing must cost nothing.

Pure but for what wakes whoever takes what is there: an event, or a callback.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gossip.view import Address
from node.watching.joint import FIRST, Event, Order

TOO_SLOW = "the client reads too slowly"
OVERHEAD_BYTES = 200
"""Of what is told of a key, besides its key and record, about."""


class Position(NamedTuple):
    """Up to where something has been told."""

    text: str
    """What clients are told, to go on from there."""
    told: Mapping[Address, int]
    """In the log of each owner."""

    def covers(self, other: Position) -> bool:
        return all(at <= self.told.get(owner, -1) for owner, at in other.told.items())


class Told(NamedTuple):
    event: Event
    position: Position
    """From where to go on, if this was the last one that a client has got."""


class Gap(NamedTuple):
    """Something may have been missed."""

    why: str
    position: Position


class Watcher:
    """`is_exact`: only the key `prefix` itself is watched. `position`: from where on."""

    def __init__(self, prefix: bytes, is_exact: bool, position: Position, bytes_max: int) -> None:
        self.prefix = prefix
        self.is_exact = is_exact
        self.position = position
        self.began = 0.0
        """When it began, or was told of a gap (monotonic)."""
        self._bytes_max = bytes_max
        self._bytes = 0
        self._waiting: deque[Told | Gap] = deque()
        self._ahead: Position | None = None
        """Up to where the client has been told what it had missed, while its node is behind that."""
        self._told: dict[bytes, Order] = {}
        """Of these events, of each key the last: it is not told of them twice."""
        self._filled = asyncio.Event()
        self._wake: Callable[[], None] = self._filled.set
        self.is_over = False
        """Nothing more will come."""

    def tell(self, event: Event, position: Position) -> None:
        if self.is_over:
            return
        if self._told and event.order <= self._told.get(event.key, FIRST):
            return
        if self._ahead is not None and any(at <= self._ahead.told.get(owner, -1) for owner, at in event.places):
            return
        position = self.reached(position)
        self._bytes += _bytes_of(event)
        if self._bytes > self._bytes_max:
            self._waiting.clear()
            self._waiting.append(Gap(TOO_SLOW, position))
            self.end()
        else:
            self._waiting.append(Told(event, position))
            self._wake()

    def reached(self, position: Position) -> Position:
        """From where the client is to go on, if that is how far its node is."""
        if self._ahead is not None and not position.covers(self._ahead):
            return self._ahead
        self._ahead = None
        return position

    def tell_gap(self, why: str, position: Position) -> None:
        """What waits before that is told no more: the client begins anew after it."""
        if not self.is_over:
            self._waiting.clear()
            self._ahead, self._told = None, {}
            self._bytes = 0
            self._waiting.append(Gap(why, position))
            self._wake()

    def tell_missed(self, events: Sequence[Event], up_to: Position) -> bool:
        """What the client has missed up to there: before all that waits, unless there is a gap. False: it is more than
        may wait, and nothing of it is told."""
        if self.is_over or any(isinstance(item, Gap) for item in self._waiting):
            return True
        if sum(map(_bytes_of, events)) > self._bytes_max:
            return False
        waiting, self._waiting, self._bytes = self._waiting, deque(), 0
        told: dict[bytes, Order] = {}
        for event in events:
            self.tell(event, self.position)
            told[event.key] = event.order
        self._ahead, self._told = up_to, told
        for item in waiting:
            if isinstance(item, Told):
                self.tell(*item)
        return True

    def end(self) -> None:
        self.is_over = True
        self._wake()

    # Whoever tells the client

    def attach(self, wake: Callable[[], None]) -> None:
        """From now on, `wake` is called whenever there may be news, and nobody waits in `take`."""
        self._wake = wake

    @property
    def has_news(self) -> bool:
        """Whether something waits, or it is over."""
        return bool(self._waiting) or self.is_over

    def taken(self) -> list[Told | Gap]:
        """All that waits."""
        taken, self._bytes = list(self._waiting), 0
        self._waiting.clear()
        return taken

    async def take(self) -> list[Told | Gap]:
        """All that waits, once there is something; nothing: it is over."""
        while not self.has_news:
            self._filled.clear()
            await self._filled.wait()
        return self.taken()


def _bytes_of(event: Event) -> int:
    return len(event.key) + len(event.record) + OVERHEAD_BYTES
