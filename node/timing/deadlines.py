"""Limits of time for very many waits at once.

Nearly every wait ends long before its limit, so what a limit costs is what it costs to set one and forget it: a timer
of the loop's and a context of `asyncio.timeout` for each request took a tenth of the time of a durable write. Here all
share one timer, which is set for the first of those that still wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

T = TypeVar("T")


class Deadlines:
    """Calls `expire` with each number that is still in `waiting` when its time has come. `expire` sets no others."""

    def __init__(self, waiting: Container[int], expire: Callable[[int], object]) -> None:
        self._waiting = waiting
        self._expire = expire
        self._due: list[tuple[float, int]] = []
        """A heap of (loop's time, number). Those that wait no more are dropped once they are first: while the first one
        waits, as many may gather as are set within its time."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    def set(self, number: int, delay_s: float) -> None:
        """Needs a running loop."""
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        self._drop_over()
        heappush(self._due, (at, number))
        if at < self._timer_at:
            self._wake_at(at, loop)

    def _drop_over(self) -> None:
        while self._due and self._due[0][1] not in self._waiting:
            heappop(self._due)

    def _wake_at(self, at: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_at(at, self._wake), at

    def _wake(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer, self._timer_at = None, float("inf")
        self._drop_over()
        while self._due and self._due[0][0] <= loop.time():
            self._expire(heappop(self._due)[1])
            self._drop_over()
        if self._due:
            self._wake_at(self._due[0][0], loop)


class Timeouts:
    """What `asyncio.timeout` is for, many times over."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[object]] = {}
        """Of each work under way, the task that waits for it."""
        self._numbers = count()
        self._deadlines = Deadlines(self._tasks, self._cancel)

    async def within(self, limit_s: float, work: Awaitable[T]) -> T:
        """What comes of `work`, which is cancelled if it takes longer. Raises TimeoutError."""
        task = asyncio.current_task()
        assert task is not None
        number, cancelling = next(self._numbers), task.cancelling()
        self._tasks[number] = task
        self._deadlines.set(number, limit_s)
        try:
            return await work
        except asyncio.CancelledError:
            if number in self._tasks or task.cancelling() > cancelling + 1:
                raise  # Somebody else wants the task to end.
            raise TimeoutError from None
        finally:
            if self._tasks.pop(number, None) is None:
                task.uncancel()

    def _cancel(self, number: int) -> None:
        self._tasks.pop(number).cancel()
