"""How much room the disk is known to have for the store, and when only what must go on is let in.

A full disk must not be a dead end: a node on it still has to promise, to take the next view, to note what it was
brought and to forget what it has handed over, or it could never be relieved or removed. So some room is kept for that,
and records of clients and of other nodes are refused before they use it up.

The room is kept inside the store file, as blocks that the file system has set aside beyond the store's last page, where
LMDB grows next. A file beside the store that is given up in need would not do: other programs fill the disk too, and
would take what it leaves. Free pages within the store count as well, for LMDB uses them first; but they may be
scattered, and a view needs several in a row, so half of what is kept has to be beyond the last page. That the other
half may be anywhere lets records in again after deletions, though the disk itself has no more room than before.

Pure: what is allocated is told to it, and it tells what to allocate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

STEPS = 4
"""More than what is kept is allocated at once, by this part of it, so that not every commit asks for more."""


class Span(NamedTuple):
    """Bytes of the store file."""

    start: int
    stop: int


class Reserve:
    """Offsets are in bytes of the store file. `kept`: how much is kept; 0: nothing is kept or asked for."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self._end = 0
        """Where the store's pages end."""
        self._free = 0
        """The free pages before that, as of when it last mattered."""
        self._allocated = 0
        """Up to where the file system has set blocks aside."""
        self._is_refused = False
        """Whether it has refused to set aside more."""

    def note_end(self, end: int, free: Callable[[], int]) -> None:
        """A commit has left the store's last page here. `free`: how much of the pages before is free, which takes time
        to find out."""
        self._end = end
        self._allocated = max(self._allocated, end)
        if self._tail < self.kept:
            self._free = free()

    def note_allocated(self, stop: int, asked: Span) -> None:
        """The file system has set aside what was asked for up to `stop`."""
        self._allocated = max(self._allocated, stop)
        self._is_refused = stop < asked.stop

    def note_refusal(self) -> None:
        """A commit was refused: what is set aside may not be there."""
        self._is_refused = bool(self.kept)

    def to_allocate(self) -> Span | None:
        """What the file system is to set aside before the next commit."""
        if self._tail >= self.kept and not self._is_refused:
            return None
        stop = self._end + self.kept + self.kept // STEPS
        return Span(min(self._allocated, stop - 1), stop)

    @property
    def is_full(self) -> bool:
        """Whether the disk has no more room than what is kept."""
        has_room = 2 * self._tail >= self.kept and self._tail + self._free >= self.kept
        return self._is_refused and not has_room

    @property
    def is_tight(self) -> bool:
        """Whether the disk has no more room than what is set aside: what one commit writes should be little."""
        return self._is_refused

    @property
    def left(self) -> int:
        """What can be written yet."""
        return self._tail + self._free

    @property
    def _tail(self) -> int:
        return self._allocated - self._end
