"""What one co-owner has yet to confirm, in order: the memory of a replication stream.

An entry is a key, not a record: what is sent is the record that is held when the key's turn has come, so a key that is
written often while its co-owner is away takes the room of one. Confirmation is cumulative, by position. Should there
be more entries than `ENTRIES_MAX`, the outbox overflows and remembers none, but since when it did: the two must then
compare what they hold, and most of what differs has come since.

What is put in before a comparison begins is confirmed by its end, and only by that: of what an overflow forgot, the
stream knows nothing. What is put in later is confirmed by the stream, whether the comparison goes on or has failed.

Pure: no loop, no clock, no I/O. Who waits for a confirmation, or for something to send, is the business of
`confirmations`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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
    """Positions count from 1. Confirmed is what `is_confirmed` says: up to `_confirmed`, and from the comparison's mark
    up to `_streamed`."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._latest: dict[bytes, Entry] = {}
        """The latest entry of each key."""
        self.keys = self._latest.keys()
        """Those that have an entry now."""
        self._position = 0
        self._sent = 0
        """What was put in up to here has been read, to be sent."""
        self._has_overflowed = False
        self._missing_since: float | None = None
        self._compared_from = 0
        """What was put in up to here awaits the end of a comparison; 0: nothing does."""
        self._confirmed = 0
        self._streamed = 0

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold. Looks at the ends only, so it is cheap."""
        entries = self._entries
        assert len(self._latest) <= len(entries) <= ENTRIES_MAX, "an outbox holds more than it may, or a key twice"
        assert not entries or entries[0].position <= entries[-1].position <= self._position, "an outbox without order"
        assert not (self._has_overflowed and entries), "an outbox that has overflowed remembers something"
        assert max(self._sent, self._confirmed, self._streamed, self._compared_from) <= self._position, (
            "an outbox is ahead of what was put in"
        )
        assert not entries or not self.is_confirmed(entries[-1].position), "an outbox keeps what is confirmed"

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def position(self) -> int:
        """The last one given."""
        return self._position

    @property
    def has_overflowed(self) -> bool:
        """Whether entries were forgotten, and no comparison has begun since."""
        return self._has_overflowed

    @property
    def awaits_comparison(self) -> bool:
        """Whether some of what was put in can be confirmed by a comparison only."""
        return self._has_overflowed or self._compared_from > 0

    @property
    def missing_since(self) -> float | None:
        """When the oldest entry was put in of those that an overflow forgot, by the monotonic clock; None: there are
        none, or a comparison has brought them since."""
        return self._missing_since

    # What is to be sent

    def append(self, key: bytes, now: float) -> int:
        """The position whose confirmation says that the co-owner has what is now held of the key, or a later version.
        What is sent is what is held at the time, so an entry that was not sent yet serves later writes too."""
        entry = self._latest.get(key)
        if entry is not None and entry.position > self._sent:
            return entry.position
        self._position += 1
        if not self._has_overflowed:
            entry = self._latest[key] = Entry(self._position, key, now)
            self._entries.append(entry)
            if len(self._entries) > ENTRIES_MAX:
                self._has_overflowed = True
                if self._missing_since is None:
                    self._missing_since = self._entries[0].since
                self._forget()
        return self._position

    def position_of(self, key: bytes) -> int | None:
        """The position of its latest entry; None if that is confirmed, or there is none."""
        entry = self._latest.get(key)
        return None if entry is None else entry.position

    def oldest_since(self) -> float | None:
        """When the longest unconfirmed entry was put in; None if there is none."""
        return self._entries[0].since if self._entries else None

    def is_past(self, position: int) -> bool:
        """Whether no entry up to `position` is left. What awaits a comparison is no entry."""
        return not self._entries or self._entries[0].position > position

    def head(self, count: int) -> list[Entry]:
        """The next `count` entries; they stay until they are confirmed."""
        return list(islice(self._entries, count))

    def mark_sent(self, position: int) -> None:
        """What was held of the keys up to `position` has been read, to be sent."""
        self._sent = max(self._sent, position)

    # What is confirmed

    def is_confirmed(self, position: int) -> bool:
        """Whether the co-owner has what was put in as `position`."""
        return position <= self._confirmed or self._compared_from < position <= self._streamed

    def is_compared(self, position: int) -> bool:
        """Whether only the end of a comparison confirms `position`."""
        return self._confirmed < position <= self._compared_from

    def confirmed_among(self, positions: Iterable[int]) -> list[int]:
        """Those of `positions` for which `is_confirmed`; written out, because every message asks it of all who wait."""
        confirmed, compared_from, streamed = self._confirmed, self._compared_from, self._streamed
        return [position for position in positions if position <= confirmed or compared_from < position <= streamed]

    def confirm(self, position: int) -> None:
        """The co-owner has all that was sent up to `position` on disk."""
        while self._entries and self._entries[0].position <= position:
            entry = self._entries.popleft()
            if self._latest.get(entry.key) is entry:
                del self._latest[entry.key]
        self._streamed = max(self._streamed, position)
        if not self._compared_from:
            self._confirmed = max(self._confirmed, self._streamed)

    def begin_comparison(self) -> None:
        """From here on, take down what is new; all that came before is the business of the comparison."""
        self._has_overflowed = False
        self._compared_from = self._position
        self._forget()

    def end_comparison(self) -> None:
        """The co-owner has all that there was when the comparison began."""
        self._confirmed = max(self._confirmed, self._compared_from, self._streamed)
        self._compared_from = 0
        self._missing_since = None

    def _forget(self) -> None:
        self._entries.clear()
        self._latest.clear()
