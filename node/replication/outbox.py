"""What one co-owner has yet to confirm, in order: the memory of a replication stream. No I/O.

An entry is a key, not a record: what is sent is the record that is held when its turn has come, so a key that is
written often while its co-owner is away takes the room of one. Confirmation is cumulative, by position. Should there
be more entries than `ENTRIES_MAX`, the outbox gives up and remembers none: the pair must then compare what it holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice

ENTRIES_MAX = 100_000
"""Some ten megabytes of keys: what a node under a full load of writes misses during a restart."""


@dataclass(slots=True)
class Entry:
    position: int
    key: bytes
    since: float
    """When it was put in, by the monotonic clock."""


class Outbox:
    def __init__(self) -> None:
        self.has_overflowed = False
        self.filled = asyncio.Event()
        self._entries: deque[Entry] = deque()
        self._latest: dict[bytes, Entry] = {}
        """Of each key."""
        self._position = self._sent = 0
        self._floor = 0
        """What was put in up to here is confirmed by the comparison under way, not by the stream."""
        self._confirmed = 0
        self._streamed = 0
        """What came after the floor is confirmed up to here."""
        self._waiting: dict[int, list[asyncio.Future[bool]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def position(self) -> int:
        """The last one given."""
        return self._position

    def append(self, key: bytes, now: float) -> int:
        """The position whose confirmation says that the co-owner has what is now held of the key, or a later version.
        What is sent is what is held at the time, so an entry that was not sent yet serves later writes too."""
        entry = self._latest.get(key)
        if entry is not None and entry.position > self._sent:
            return entry.position
        self._position += 1
        if not self.has_overflowed:
            entry = self._latest[key] = Entry(self._position, key, now)
            self._entries.append(entry)
            self.filled.set()
            if len(self._entries) > ENTRIES_MAX:
                self.has_overflowed = True
                self._forget()
        return self._position

    def position_of(self, key: bytes) -> int | None:
        """That of its latest entry, if it has one that is not confirmed."""
        entry = self._latest.get(key)
        return None if entry is None else entry.position

    def oldest_since(self) -> float | None:
        """When the longest unconfirmed entry was put in; None if there is none."""
        return self._entries[0].since if self._entries else None

    def is_past(self, position: int) -> bool:
        """Whether nothing up to `position` is left; what comparisons are for apart."""
        return not self._entries or self._entries[0].position > position

    def head(self, count: int) -> list[Entry]:
        """The next `count` entries; they stay until they are confirmed."""
        return list(islice(self._entries, count))

    def sent(self, position: int) -> None:
        """What was held of the keys up to `position` has been read, to be sent."""
        self._sent = max(self._sent, position)

    def start_over(self) -> None:
        """From here on, take down what is new; all that came before is the business of a comparison that starts now."""
        self.has_overflowed = False
        self._floor = self._position
        self._forget()

    def compared(self) -> None:
        """The comparison has ended: the co-owner has all that there was when it started."""
        self._confirmed = max(self._confirmed, self._floor, self._streamed)
        self._floor = 0
        self._resolve(0, self._confirmed)

    def confirm(self, position: int) -> None:
        """The co-owner has everything that was sent up to `position` on disk."""
        while self._entries and self._entries[0].position <= position:
            entry = self._entries.popleft()
            if self._latest.get(entry.key) is entry:
                del self._latest[entry.key]
        if not self._entries:
            self.filled.clear()
        self._streamed = max(self._streamed, position)
        if not self._floor:
            self._confirmed = max(self._confirmed, self._streamed)
        self._resolve(self._floor, position)

    def confirmation(self, position: int) -> asyncio.Future[bool]:
        """Resolves to True once `position` is confirmed, to False if `give_up` comes first."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if position <= self._confirmed or self._floor < position <= self._streamed:
            future.set_result(True)
        else:
            self._waiting.setdefault(position, []).append(future)
        return future

    def withdraw(self, position: int, confirmation: asyncio.Future[bool]) -> None:
        """Who waited for it has given up."""
        waiting = self._waiting.get(position, [])
        if confirmation in waiting:
            waiting.remove(confirmation)
            if not waiting:
                del self._waiting[position]

    def give_up(self) -> None:
        """Nobody shall wait for confirmations any longer; the entries stay."""
        for position in list(self._waiting):
            self._tell(position, False)

    def _forget(self) -> None:
        self._entries.clear()
        self._latest.clear()
        self.filled.clear()

    def _resolve(self, after: int, upto: int) -> None:
        for position in [position for position in self._waiting if after < position <= upto]:
            self._tell(position, True)

    def _tell(self, position: int, confirmed: bool) -> None:
        for future in self._waiting.pop(position):
            if not future.done():
                future.set_result(confirmed)
