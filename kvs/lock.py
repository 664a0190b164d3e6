"""A lock: of any number of clients, one holds it at a time, as long as it renews it.

The lock is a key that expires (`kvs.lock_key`). Whoever puts it, on the condition that it does not exist, holds it; the
value names the holder by a random id, one for each time that the lock is had. It is renewed in the background, each
time by a put on the version that it has, and released by a delete on that. So nobody renews or releases what has become
somebody else's.

**An unknown outcome** is found out by the id. Of a put that was to acquire the lock, the key is read: if the id is
there, the lock is had, and the store tells how long it has left. If not, the same is put again, under the same id:
should the first one be on its way yet, one of the two is refused. Of a renewal alike; there it is the version that one
of the two changes. Of a delete: if the id is not there, it has happened. What arrives when nobody waits for it any more
can only be the first put, and does no more harm than a lock that nobody holds, until its ttl has passed.

**A holder is told** when the lock is lost, or may be: `is_held`, `lost()`, and `LockLost` at the end. It may be lost
when the ttl has passed, less a margin, since before the last successful renewal was sent (`kvs.hold`). Nothing is
cancelled by force. What was sent already would go on all the same, a thread cannot be cancelled at all, and a task that
is cancelled between two of its steps leaves half of its work behind. Only the work itself knows where it may stop.

**Clocks**: the holder's own clock is one that nobody sets, and that goes on while the machine is suspended. The store's
may be set, as it is that of its nodes. The margin is for that.

**What no lock that expires can promise**: that the holder is alone at the moment when its work takes effect. It may be
paused for longer than the ttl between a look at `is_held` and its next step, and what it then sends arrives in the time
of the next holder. Whoever must rule that out passes a *fencing token* along: a number that only grows from holder to
holder, so that who is written to can refuse a smaller one than it has seen. Versions are none: they are promised to
differ, not to be in order. So the number is a counter under a key of its own, which does not expire, and a holder's is
what it makes of that. It is valid if the lock is still held when it is told: then it was drawn before any later
holder had the lock. It costs two requests, so it is drawn for those who ask.

**A release that reaches nobody** is no error: the work is done, and the lock goes by itself when its ttl has passed.

Waiting is asking again, less often each time, and not in any order.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from kvs.counter import AsyncCounter
from kvs.data import Data
from kvs.errors import BadRequest, Contended, KvsError, Locked, LockLost, Misuse, OutcomeUnknown, Unreachable
from kvs.hold import Hold
from kvs.lock_key import TAKEN, Holder, LockKey, Time

TTL_S_MIN = 1.0
"""A node that is asked in vain costs more than half a second, and a renewal must survive that."""
PAUSE_S, PAUSE_S_MAX = 0.05, 1.0
"""After the first time that the lock is somebody else's, and later: each of a length between half of that and the
whole."""
RELEASE_S = 5.0
"""For how long a release is tried."""
TOKENS = "/token"
"""Behind the name of a lock: the key of the counter of its fencing tokens."""
CLOSED = "the client was closed"


class SystemTime:
    """That of the machine, and it goes on while the machine is suspended, where the system can tell."""

    _clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        return time.clock_gettime(self._clock)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


SYSTEM_TIME = SystemTime()


class AsyncLock:
    """Made by `AsyncClient.lock`. To be used as `async with client.lock(name, ttl) as lock`: by one at a time, and any
    number of times."""

    def __init__(
        self,
        client: Data,
        name: str,
        ttl: float,
        tasks: set[asyncio.Task[None]],
        *,
        timeout: float | None = None,
        holder: str | None = None,
        on_waiting: Callable[[KvsError], object] = lambda _: None,
        system: Time = SYSTEM_TIME,
    ) -> None:
        """`tasks`: of the client, which cancels them when it is closed. `on_waiting`: is told, after each try that was
        in vain, why it was. Raises BadRequest."""
        if not ttl >= TTL_S_MIN:
            raise BadRequest(f"the ttl of a lock is at least {TTL_S_MIN:g} s, not {ttl:g} s")
        self._client = client
        self._name = name
        self._ttl = ttl
        self._tasks = tasks
        self._timeout = timeout
        self._holder = f"{socket.gethostname()}, process {os.getpid()}" if holder is None else holder
        self._on_waiting = on_waiting
        self._time = system
        self._is_entered = False
        self._hold: Hold | None = None
        self._token: int | None = None
        self._lost = asyncio.Event()

    @property
    def is_held(self) -> bool:
        """Whether it certainly is at this moment; may be read from any thread. Once lost, it stays so."""
        hold = self._hold
        return hold is not None and hold.is_held(self._time.now())

    async def lost(self) -> None:
        """Wait until it is lost, or may be."""
        await self._lost.wait()

    async def token(self) -> int:
        """The fencing token: greater than that of any holder before, and the same each time it is asked for. It is
        counted under the key of the lock's name and `/token`. Raises KvsError: LockLost if the lock may be lost."""
        hold = self._hold
        if hold is None:
            raise Misuse(f"the lock {self._name!r} is not held: a token is for its holder")
        if self._token is None:
            self._token = await AsyncCounter(self._client, self._name + TOKENS).increment()
        if not hold.is_held(self._time.now()):
            raise self._loss(hold)
        return self._token

    async def __aenter__(self) -> Self:
        """Raises KvsError, of which Locked and Contended say that others have the lock."""
        if self._is_entered:
            raise Misuse(f"the lock {self._name!r} is entered already: make another one")
        self._is_entered = True
        self._lost.clear()
        self._token = None
        me = Holder(secrets.token_hex(16), self._holder)
        self._key = LockKey(self._client, self._name, self._ttl, me, self._time)
        try:
            self._hold = await self._acquire(me)
        except BaseException:
            self._is_entered = False
            raise
        self._renewing = asyncio.get_running_loop().create_task(self._keep(self._hold))
        self._tasks.add(self._renewing)
        self._renewing.add_done_callback(self._tasks.discard)
        self._renewing.add_done_callback(partial(self._is_kept_no_more, self._hold))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises LockLost if the lock was lost, or may have been. If the block ends with an error, that one goes on,
        and has a note of this."""
        try:
            await self._leave()
        except KvsError as fault:
            if error is None:
                raise
            error.add_note(str(fault))
        finally:
            self._is_entered = False

    async def _leave(self) -> None:
        """Raises KvsError."""
        hold, was_held = self._hold, self.is_held
        assert hold is not None
        self._hold = None
        self._renewing.cancel()
        await asyncio.wait([self._renewing])
        was_there = await self._key.release(hold, RELEASE_S if was_held else 0.0)
        if not (was_held and was_there):
            raise self._loss(hold)

    def _loss(self, hold: Hold) -> LockLost:
        return LockLost(self._name, hold.reason or TAKEN)

    async def _acquire(self, me: Holder) -> Hold:
        """Raises KvsError."""
        began, tries, is_free = self._time.now(), 0, True
        doubt: OutcomeUnknown | None = None
        why: KvsError
        while True:
            tries += 1
            pause_s = min(PAUSE_S * 2 ** min(tries - 1, 10), PAUSE_S_MAX) * random.uniform(0.5, 1.0)
            try:
                hold = Hold(self._ttl)
                if is_free:
                    doubt = await self._key.claim(hold) or doubt
                if hold.is_held(self._time.now()):
                    return hold
                hold = Hold(self._ttl)
                seen = await self._key.find(hold)
                if seen is not None and seen.by == me and hold.is_held(self._time.now()):
                    return hold
            except Unreachable as fault:
                why = doubt or fault
            else:
                is_free = seen is None
                if seen is None:
                    why = doubt or Contended(self._name, tries)
                else:
                    why = Locked(self._name, seen.by.holder)
                    pause_s = min(pause_s, seen.left_s)
            left_s = float("inf") if self._timeout is None else began + self._timeout - self._time.now()
            if left_s <= 0:
                raise why
            self._on_waiting(why)
            await self._time.sleep(min(pause_s, left_s))

    async def _keep(self, hold: Hold) -> None:
        """Renew it, until it is lost."""
        while hold.is_held(self._time.now()):
            if hold.is_due(self._time.now()):
                await self._try_to_renew(hold)
            await self._time.sleep(hold.wait_s(self._time.now()))

    def _is_kept_no_more(self, hold: Hold, _: asyncio.Task[None]) -> None:
        if self._hold is hold:  # Or it is left, and that is no loss.
            hold.end(CLOSED)
            self._lost.set()

    async def _try_to_renew(self, hold: Hold) -> None:
        try:
            async with asyncio.timeout(hold.call_s(self._time.now())):
                await self._key.renew(hold)
        except (Unreachable, TimeoutError):
            hold.failed(self._time.now())
        except KvsError as fault:
            hold.end(str(fault))
