"""What has changed in the store of an owner, lately: what those who are watched are told.

Each log has a name of its own, by chance: whoever asks for what another one had from some position on has missed
something. It keeps what fits; whoever is slower than that has missed something too. Pure: no loop, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from node.storage.transaction import Cause, Change


class Part(NamedTuple):
    """What a log tells at once."""

    changes: tuple[tuple[int, Change], ...]
    """Each with its position."""
    end: int
    """All up to this position that was asked for is in there."""
    is_whole: bool
    """Whether there is no more."""


class ChangeLog:
    def __init__(self, name: int, bytes_max: int) -> None:
        self.name = name
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: list[Change] = []
        """Before `_first` stands what has been dropped: that list is cut now and then, not with each change."""
        self._first = 0
        self.end = 0
        """The position of the last change; the first one has 1."""

    def append(self, changes: Sequence[Change]) -> None:
        self._kept.extend(changes)
        self.end += len(changes)
        self._bytes += sum(map(_size, changes))
        while self._bytes > self._bytes_max:
            self._bytes -= _size(self._kept[self._first])
            self._first += 1
        if self._first > len(self._kept) // 2:
            del self._kept[: self._first]
            self._first = 0

    def after(self, position: int, causes: Collection[Cause], bytes_max: int) -> Part | None:
        """What has changed beyond `position`, for one of `causes`: about `bytes_max` bytes of it, one change at least
        if there is one. None: some of it is not here any more, or never was."""
        begin = self.end - len(self._kept)
        if not begin + self._first <= position <= self.end:
            return None
        found: list[tuple[int, Change]] = []
        for at in range(position + 1, self.end + 1):
            change = self._kept[at - begin - 1]
            if change.cause in causes:
                if found and bytes_max < _size(change):
                    return Part(tuple(found), at - 1, False)
                bytes_max -= _size(change)
                found.append((at, change))
        return Part(tuple(found), self.end, True)


def _size(change: Change) -> int:
    return len(change.key) + len(change.record) + 100
