"""Whether a node knows of a later view than the one it holds, and is unable to store it.

What it holds is out of force then, so it serves nothing until it has stored it. That is so at once if its disk refuses
the view. If the disk only takes its time, or hangs, it is so after a while: the others ask this node what it has before
they act without it, but not for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Lag:
    """`late_s`: how long an adoption may take."""

    def __init__(self, late_s: float) -> None:
        self._late_s = late_s
        self._is_refused = False
        """Whether the disk has refused a later view, and taken none since."""
        self.stored = 0
        """How many later views were stored since the start."""
        self._late: set[object] = set()
        """The adoptions under way that take too long."""
        self.is_behind = False
        """An attribute, because each request asks for it several times."""

    @asynccontextmanager
    async def adopting(self) -> AsyncIterator[None]:
        """The block stores a later view, or finds that it need not."""
        this = object()

        def become_late() -> None:
            self._late.add(this)
            self._renew()

        timer = asyncio.get_running_loop().call_later(self._late_s, become_late)
        try:
            yield
        finally:
            timer.cancel()
            self._late.discard(this)
            self._renew()

    def note_refused(self) -> None:
        """The disk does not take a later view. It will be heard of again."""
        self._is_refused = True
        self._renew()

    def note_stored(self) -> None:
        self.stored += 1
        self._is_refused = False
        self._renew()

    def _renew(self) -> None:
        self.is_behind = self._is_refused or bool(self._late)
