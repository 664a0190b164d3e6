"""Limits of time for very many waits at once.

Nearly every wait ends long before its limit, so the cost of a limit is that of setting it and forgetting it: a timer of
the loop and a context of `asyncio.timeout` for each request take a tenth of the time of a durable write. Here all waits
share one timer, which is set for the first limit among those that still wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Container
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")

CROWDED = 1000
"""So few that have ended may be kept."""


class Deadlines:
    """Calls `expire` with each number that is still in `waiting` when its time has come. `expire` must not call
    `set`."""

    def __init__(self, waiting: Container[int], expire: Callable[[int], object]) -> None:
        self._waiting = waiting
        self._expire = expire
        self._due: list[tuple[float, int]] = []
        """A heap of (loop's time, number). A number whose wait has ended is dropped once it is first, or once most of
        them are such: the first one may wait for long."""
        self._crowded = CROWDED
        """So many are looked through."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    def set(self, number: int, delay_s: float) -> None:
        """Needs a running loop."""
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        due, waiting = self._due, self._waiting
        while due and due[0][1] not in waiting:  # `_drop_over` written out: each request sets one.
            heappop(due)
        heappush(due, (at, number))
        if len(due) > self._crowded:
            self._sift()
        if at < self._timer_at:
            self._wake_at(at, loop)

    def _drop_over(self) -> None:
        while self._due and self._due[0][1] not in self._waiting:
            heappop(self._due)

    def _sift(self) -> None:
        """Drop all whose wait has ended, and let as many come as are left before it is done again."""
        self._due[:] = [each for each in self._due if each[1] in self._waiting]
        heapify(self._due)
        self._crowded = 2 * len(self._due) + CROWDED

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
    """`asyncio.timeout` for very many waits."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[object]] = {}
        """The task that waits for each work under way."""
        self._numbers = count()
        self._deadlines = Deadlines(self._tasks, self._cancel)

    async def within(self, limit_s: float, work: Awaitable[T], fault: type[Exception] = TimeoutError) -> T:
        """The result of `work`, which is cancelled if it takes longer than `limit_s`. Raises a `fault` then."""
        task = asyncio.current_task()
        assert task is not None
        number, cancelling = next(self._numbers), task.cancelling()
        self._tasks[number] = task
        self._deadlines.set(number, limit_s)
        try:
            return await work
        except asyncio.CancelledError:
            if number in self._tasks or task.cancelling() > cancelling + 1:
                raise  # The task is cancelled by others too.
            raise fault from None
        finally:
            if self._tasks.pop(number, None) is None:
                task.uncancel()

    def _cancel(self, number: int) -> None:
        self._tasks.pop(number).cancel()


class SameLimit:
    """Cancels each future that is not done `limit_s` after it was `set`. The limit is the same for all, so what was set
    first is due first: a queue does where `Deadlines` takes a heap, and no task waits. So it does where each is set
    with a time of its own that is hardly ever before that of another one."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._due: deque[tuple[float, asyncio.Future[Any]]] = deque()
        """(loop's time, future). One that is done is dropped once it is first."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    def set(self, future: asyncio.Future[Any], at: float | None = None) -> float:
        """Returns when it is due, which is `at` if that is given (loop's time). Needs a running loop."""
        due, loop = self._due, future.get_loop()
        while due and due[0][1].done():
            due.popleft()
        if at is None:
            at = loop.time() + self._limit_s
        place = len(due)
        while place and due[place - 1][0] > at:
            place -= 1
        due.insert(place, (at, future))
        if at < self._timer_at:
            self._wake_at(at, loop)
        return at

    def _wake_at(self, at: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_at(at, self._wake, loop), at

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._timer_at = None, float("inf")
        due, now = self._due, loop.time()
        while due and (due[0][0] <= now or due[0][1].done()):
            due.popleft()[1].cancel()
        if due:
            self._wake_at(due[0][0], loop)
