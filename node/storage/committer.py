"""The thread that does nothing but commit, and what the loop must do to let it work.

The loop lets go of the GIL until the committer has taken its batch (60 us). Otherwise the committer, once woken, waits
for the GIL until the loop has nothing left to do: the disk stands still for 370 us of each batch's 1,000, and 32
connections get 15,500 durable writes a second instead of 19,000.

It also has room set aside before it commits, see `reserve`, since a disk may take its time for either. Whatever goes
wrong in that is told as a fault of the work: a thread that died of it would leave all who write waiting for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import NamedTuple

import lmdb

from node.storage.reserve import Span


class Work(NamedTuple):
    """What is to be done, in this order; None: nothing."""

    allocate: Span | None
    transaction: lmdb.Transaction[bytes] | None


class Done(NamedTuple):
    """What became of that."""

    allocate: Span | None
    allocated: int
    """Up to where it was."""
    fault: Exception | None


class Committer:
    """`allocate` is called in the thread. `done`: called in that of `loop` for each work, unless `wait` was first."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, allocate: Callable[[Span], int], done: Callable[[Done], None]
    ) -> None:
        self._loop = loop
        self._allocate = allocate
        self._on_done = done
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._taken = Lock()
        """Held, except for the moment when the thread has just taken its work."""
        self._taken.acquire()
        self._done: SimpleQueue[Done] = SimpleQueue()
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def take(self, work: Work) -> None:
        """Do it next: one at a time. Returns once the thread has it."""
        self._work.put(work)
        self._taken.acquire()

    def wait(self, limit_s: float) -> Done | None:
        """Wait here, whatever becomes of the loop, until the work is done. None: that takes longer."""
        try:
            return self._done.get(timeout=limit_s)
        except Empty:
            return None

    def close(self) -> None:
        """With nothing left to do."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            self._taken.release()
            self._done.put(self._do(work))
            with suppress(RuntimeError):  # The loop is closed: `wait` takes the answer from the queue.
                self._loop.call_soon_threadsafe(self._collect)

    def _do(self, work: Work) -> Done:
        span, transaction = work
        allocated = 0 if span is None else span.start
        try:
            if span is not None:
                allocated = self._allocate(span)
            if transaction is not None:
                transaction.commit()
        except Exception as error:
            if transaction is not None:
                with suppress(Exception):  # It may be over: what has failed may be its commit.
                    transaction.abort()
            return Done(span, allocated, error)
        return Done(span, allocated, None)

    def _collect(self) -> None:
        with suppress(Empty):  # `wait` was here first.
            self._on_done(self._done.get_nowait())
