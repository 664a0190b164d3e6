"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready, and that knows whose work each
callback is.

Every callback belongs to the *host* in whose context it was scheduled. So one node of many in this process can be
frozen (its callbacks wait, as in a paused container) or killed (they never run again, nor does any `finally` of theirs,
as with SIGKILL), with nothing in the node that knows of it. Callbacks that are ready at the same time run in an order
drawn from the seed: the order that asyncio happens to choose must not be what makes a protocol right.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import heapq
import itertools
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_host: contextvars.ContextVar[Host | None] = contextvars.ContextVar("host", default=None)


class Stuck(Exception):
    """Nothing is ready and no timer is set: the simulation would wait for ever."""


class Host:
    """What one simulated process runs."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.held: list[asyncio.Handle] = []
        """Callbacks that became ready while the host was frozen."""
        self.tasks: list[asyncio.Task[Any]] = []
        """Kept, so that no coroutine of a killed host is ever finalized while others run."""
        self._loop = loop
        self.context = contextvars.copy_context()
        self.context.run(_host.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as this host's."""
        task = self._loop.create_task(work, context=self.context)
        self.tasks.append(task)
        return task

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False
        if self.alive:
            self._loop.readmit(self.held)
        self.held = []

    def kill(self) -> None:
        self.alive = False
        self.held = []


class _Task(asyncio.Task[Any]):
    """Hashed by the order of creation: asyncio keeps tasks in sets, whose order would else differ from run to run."""

    serials = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.serial = next(self.serials)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self.serial


class VirtualLoop(asyncio.BaseEventLoop):
    """`failures` collects what no task awaited: an error that a simulated process would have died of, or logged."""

    _ready: collections.deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._now = 0.0
        self._cancelled = 0
        self._rng = rng
        self.failures: list[BaseException] = []
        self.set_exception_handler(self._note_failure)
        serials = itertools.count()
        tasks = type("Task", (_Task,), {"serials": serials})
        self.set_task_factory(lambda loop, work, **more: tasks(work, loop=loop, **more))

    def time(self) -> float:
        return self._now

    def readmit(self, handles: list[asyncio.Handle]) -> None:
        self._ready.extend(handles)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(work)
        finally:
            asyncio.set_event_loop(None)

    def _run_once(self) -> None:
        """One turn; replaces the whole of BaseEventLoop's, which waits for the real time and runs callbacks in
        order."""
        if not self._ready:
            self._advance()
        while self._scheduled and self._scheduled[0].when() <= self._now:
            self._ready.append(heapq.heappop(self._scheduled))
        turn = list(self._ready)
        self._ready.clear()
        if len(turn) > 1:
            self._rng.shuffle(turn)
        for handle in turn:
            host = _host_of(handle)
            if handle.cancelled() or (host is not None and not host.alive):
                continue
            if host is not None and host.frozen:
                host.held.append(handle)
            else:
                handle._run()

    def _advance(self) -> None:
        """Jump to the next timer that still counts."""
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)
        if not self._scheduled:
            raise Stuck
        self._now = max(self._now, self._scheduled[0].when())

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time has come; all at once when they are many."""
        self._cancelled += 1
        if self._cancelled > 1000 and self._cancelled > len(self._scheduled) // 2:
            self._scheduled = [timer for timer in self._scheduled if not timer.cancelled()]
            heapq.heapify(self._scheduled)
            self._cancelled = 0

    def _write_to_self(self) -> None:
        """There is no other thread that would have to be heard."""

    def _note_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if (failure := context.get("exception")) is not None:
            self.failures.append(failure)


def _host_of(handle: asyncio.Handle) -> Host | None:
    context: contextvars.Context = handle._context  # type: ignore[attr-defined]
    return context.get(_host)
