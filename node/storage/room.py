"""Keeping room on the disk: what `reserve` decides is done here, and the log is told when the disk becomes full, and
when that is over.

Blocks are set aside by the committer, since the disk may take its time for it. A full disk is asked again now and then,
be there jobs or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from node.storage.data_dir import DataDir
from node.storage.reserve import Reserve, Span

_log = logging.getLogger(__name__)

ROOM_AGAIN_S = 1.0
"""How often a full disk is asked whether it has room again, if nothing else is written."""


class Room:
    """`probe`: have the committer ask for room now, if it is idle. All but `allocate` is for the thread of `loop`."""

    def __init__(
        self, directory: DataDir, kept: int, loop: asyncio.AbstractEventLoop, probe: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._reserve = Reserve(kept)
        self._loop = loop
        self._probe = probe
        self._timer: asyncio.TimerHandle | None = None
        self.is_full = False
        """Whether jobs that grow the store are refused."""

    @property
    def kept(self) -> int:
        return self._reserve.kept

    @property
    def is_tight(self) -> bool:
        """See `Reserve.is_tight`."""
        return self._reserve.is_tight

    @property
    def left(self) -> int:
        """See `Reserve.left`."""
        return self._reserve.left

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def to_allocate(self) -> Span | None:
        """What the committer is to have set aside before it commits."""
        return self._reserve.to_allocate()

    def allocate(self, span: Span) -> int:
        """Have it set aside. Returns up to where that was done."""
        return self._directory.allocate(span.start, span.stop)

    def note_allocated(self, span: Span, stop: int) -> None:
        """It was set aside up to `stop`."""
        self._reserve.note_allocated(stop, span)
        self._note_fullness()

    def note_end(self, end: int, free: Callable[[], int]) -> None:
        """See `Reserve.note_end`."""
        self._reserve.note_end(end, free)
        self._note_fullness()

    def note_refusal(self) -> None:
        """The disk has refused a commit."""
        self._reserve.note_refusal()
        self._note_fullness()

    def _note_fullness(self) -> None:
        is_full = self._reserve.is_full
        if is_full and not self.is_full:
            left = self._reserve.left // 1024
            _log.error("the disk is full: it takes no more records; %d KiB are left for what must go on", left)
        elif self.is_full and not is_full:
            _log.info("the disk has room again: it takes records")
        self.is_full = is_full
        if self._reserve.is_tight and self._timer is None and not self._loop.is_closed():
            self._timer = self._loop.call_later(ROOM_AGAIN_S, self._ask_again)

    def _ask_again(self) -> None:
        self._timer = None
        if self._reserve.is_tight:
            self._probe()
