"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready, and that knows whose work each
callback is.

Every callback belongs to the *host* in whose context it was scheduled. So one node of many in this process can be
frozen (its callbacks wait, as in a paused container) or killed (they never run again, nor does any `finally` of theirs,
as with SIGKILL), with nothing in the node that knows of it. Callbacks that are ready at the same time run in an order
drawn from the seed: the order that asyncio happens to choose must not be what makes a protocol right.

How many virtual seconds a real one buys is decided here more than anywhere else, so scheduling and the turn itself
replace what asyncio does, and do nothing that is of use only to a real loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
from collections.abc import Callable, Coroutine
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import Any, TypeVar, TypeVarTuple

import msgspec

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_host: contextvars.ContextVar[Host | None] = contextvars.ContextVar("host", default=None)


class Stuck(Exception):
    """The simulation would wait for ever: nothing is ready and no timer is set, or it has not ended by its end."""


class Host:
    """What one simulated process runs."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.runs = True
        """Alive and not frozen."""
        self.held: list[_Handle] = []
        """Callbacks that became ready while the host was frozen."""
        self._loop = loop
        self.context = contextvars.copy_context()
        self.context.run(_host.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as this host's."""
        return self._loop.create_task(work, context=self.context)

    def freeze(self) -> None:
        self.frozen, self.runs = True, False

    def thaw(self) -> None:
        self.frozen, self.runs = False, self.alive
        if self.alive:
            self._loop.readmit(self.held)
        self.held = []

    def kill(self) -> None:
        self.alive = self.runs = False
        self.held = []


class _Handle(msgspec.Struct):
    """A callback, whether it waits for its turn or for its time: what asyncio asks of its own handles, but a struct,
    because there are so many of them."""

    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: contextvars.Context
    dropped: bool = False

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped


class _Task(asyncio.Task[Any]):
    """Hashed by the order of creation: otherwise the sets in which asyncio keeps tasks would differ from run to run."""

    def __init__(
        self, work: Coroutine[Any, Any, Any], loop: VirtualLoop, name: str, context: contextvars.Context | None
    ) -> None:
        self.serial = next(loop.serials)
        self.host = _host.get() if context is None else context.get(_host)
        super().__init__(work, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self.serial


class VirtualLoop(asyncio.BaseEventLoop):
    """`failures` collects what no task awaited: an error that a simulated process would have died of, or logged."""

    _stopping: bool

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.now = 0.0
        self.end_s = inf
        """What has not ended by then never will."""
        self.failures: list[BaseException] = []
        self.serials = itertools.count()
        self.nobody = contextvars.Context()
        """For what belongs to no host, though a host may be what sets it off."""
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]
        self._random = rng.random
        self._soon: list[_Handle] = []
        self._timers: list[tuple[float, int, _Handle]] = []
        """A heap. Cancelled ones are dropped when their time has come."""
        self.set_exception_handler(self._note_failure)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(work)
        finally:
            asyncio.set_event_loop(None)

    def readmit(self, handles: list[_Handle]) -> None:
        self._soon += handles

    # What asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context)
        self._soon.append(handle)
        return handle  # type: ignore[return-value]

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context)
        heappush(self._timers, (self.now + delay, next(self.serials), handle))
        return handle  # type: ignore[return-value]

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context)
        heappush(self._timers, (when, next(self.serials), handle))
        return handle  # type: ignore[return-value]

    get_debug = staticmethod(False.__bool__)
    """Asked for each future that is made: so it is answered without a frame."""

    def post(self, delay: float, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        """`call_later` for what belongs to no host, and is never cancelled."""
        heappush(self._timers, (self.now + delay, next(self.serials), _Handle(callback, args, self.nobody)))

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str = "", context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        return _Task(coro, self, name, context)

    def _run_once(self) -> None:
        """Turns until somebody stops the loop: in each, all that is ready, in an order of the seed's choosing. Raises
        the first failure."""
        timers = self._timers
        while not self._stopping:
            if self.failures:
                raise self.failures[0]
            turn, self._soon = self._soon, []
            if not turn:
                while timers and timers[0][2].dropped:
                    heappop(timers)
                if not timers:
                    raise Stuck
                self.now = max(self.now, timers[0][0])
                if self.now > self.end_s:
                    raise Stuck(f"it goes on after {self.end_s:,.0f} s")
            while timers and timers[0][0] <= self.now:
                turn.append(heappop(timers)[2])
            if len(turn) > 1:
                self._shuffle(turn)
            for handle in turn:
                if handle.dropped:
                    continue
                context = handle.context
                host = context.get(_host)
                if host is None or host.runs:
                    try:
                        context.run(handle.callback, *handle.args)
                    except Exception as error:
                        self.failures.append(error)
                elif host.alive:
                    host.held.append(handle)

    def _shuffle(self, turn: list[_Handle]) -> None:
        for last in range(len(turn) - 1, 0, -1):
            chosen = int(self._random() * (last + 1))
            turn[chosen], turn[last] = turn[last], turn[chosen]

    def _write_to_self(self) -> None:
        """There is no other thread that would have to be heard."""

    def _note_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task that nobody awaits has failed. A mere future that nobody awaits is left by whoever was killed."""
        task, failure = context.get("future"), context.get("exception")
        if failure is not None and isinstance(task, _Task) and (task.host is None or task.host.alive):
            self.failures.append(failure)
