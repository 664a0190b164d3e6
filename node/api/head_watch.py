"""How long the head of a request may be, and how long it may take to arrive: aiohttp would wait for its end for ever.

What aiohttp bounds itself, a single line of a head and the number of them, is left to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from node.errors import RequestFault

HEAD_BYTES_MAX = 64 * 1024


class HeadTooLarge(RequestFault):
    status = 431


class HeadTooSlow(RequestFault):
    status = 408


class HeadWatch:
    """Of one connection. `give_up` is told what is wrong, once at most for each head."""

    def __init__(self, loop: asyncio.AbstractEventLoop, head_s: float, give_up: Callable[[RequestFault], None]) -> None:
        self._loop = loop
        self._head_s = head_s
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self._bytes = 0

    def note(self, data: bytes, is_begun: bool) -> None:
        """This has come. `is_begun`: of a head, which has not come as a whole; else there is none to wait for."""
        if not is_begun:
            self.stop()
        elif self._timer or data.strip(b"\r\n"):  # Some send line breaks after a body.
            self._bytes += len(data)
            if self._timer is None:
                self._timer = self._loop.call_later(self._head_s, self._expire)
            if self._bytes > HEAD_BYTES_MAX:
                self.stop()
                self._give_up(HeadTooLarge(f"Head is too large: more than {HEAD_BYTES_MAX // 1024} KiB"))

    def stop(self) -> None:
        self._bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self.stop()
        self._give_up(HeadTooSlow("The head did not arrive in time"))
