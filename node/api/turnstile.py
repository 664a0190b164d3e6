"""Clients that have sent requests ahead go on in turns, some of them in each turn of the loop.

Whoever waits for one answer at a time is served at once. But a client may send thousands of requests and read nothing,
and open more connections of that kind: were one of each served in every turn, the turns would become as long as there
are such connections, for everybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

A_TURN = 4
"""Some milliseconds' work at most."""


class Turnstile:
    """Of the loop that is running whenever somebody waits."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_turning = False

    def wait(self, go_on: Callable[[], None]) -> None:
        """`go_on` is called in a later turn, after those who wait already; it must not raise."""
        self._waiting.append(go_on)
        self._turn_soon()

    async def passed(self) -> None:
        """Wait for one's turn."""
        turn = asyncio.get_running_loop().create_future()
        self.wait(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _turn_soon(self) -> None:
        if self._waiting and not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_turning = False
        for _ in range(min(A_TURN, len(self._waiting))):
            self._waiting.popleft()()
        self._turn_soon()
