"""`Client`: the store as a program sees it that has no event loop, or as one types at a prompt.

There is one implementation, the asynchronous one; here it runs on a thread of its own, which serves any number of
threads. A call hands its coroutine over, and waits. The thread does not keep the program alive, and ends with the
client: closed, or collected.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from kvs.batching import Batch
from kvs.client import TIMEOUT_S, AsyncClient
from kvs.connections import CLOSED
from kvs.counter import AsyncCounter
from kvs.errors import Misuse
from kvs.export_lines import entries_in
from kvs.lock import AsyncLock
from kvs.operations import Operation, Result, Slot, result_of, slots_of
from kvs.responses import EntriesPage, KeysPage
from kvs.session import AsyncSession
from kvs.tls import CaFile
from kvs.values import Entry, Exported, Found, Stored, Unchanged
from kvs.waiting import WAIT_S, Waiting
from kvs.watch import Event

T = TypeVar("T")


class _Thread:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._submitting = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._live, name="kvs client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result, here. Raises what it raises, and Misuse."""
        with self._submitting:
            if self._is_closed or not self._thread.is_alive():
                work.close()
                raise Misuse(
                    CLOSED if self._is_closed else "a client does not outlive a fork: make one in each process"
                )
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Without waiting for its end; if the client has ended, not at all."""
        with self._submitting:
            if self._is_closed or not self._thread.is_alive():
                work.close()
            else:
                asyncio.run_coroutine_threadsafe(work, self._loop)

    def end(self, client: AsyncClient) -> None:
        """Close the client, and the loop after the last of its calls."""
        with self._submitting:
            if self._is_closed or not self._thread.is_alive():
                return
            self._is_closed = True
            asyncio.run_coroutine_threadsafe(self._end(client), self._loop)
        if threading.current_thread() is not self._thread:  # Where garbage is collected, nobody chooses.
            self._thread.join()

    def _live(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _end(self, client: AsyncClient) -> None:
        await client.close()
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        if calls:
            await asyncio.wait(calls)
        await self._loop.shutdown_asyncgens()
        self._loop.stop()


class _Calls:
    """Reads and writes keys, each call on the thread."""

    def __init__(self, data: Waiting, thread: _Thread) -> None:
        self._data = data
        self._thread = thread

    def get(self, key: str) -> Found | None:
        """The key's value and version; None if there is no such key. Raises KvsError."""
        return self._thread.run(self._data.get(key))

    def await_change(self, key: str, version: str | None, *, wait: float = WAIT_S) -> Found | Unchanged | None:
        """The key's value and version, once that is not `version` any more; None: there is no such key, any more, or if
        `version` is None after `wait` seconds. `Unchanged`: it is the same after `wait` seconds. Raises KvsError."""
        return self._thread.run(self._data.await_change(key, version, wait=wait))

    def put(self, key: str, value: object, *, ttl: float | None = None) -> Stored:
        """Store a value under the key, whatever was there. `value`: anything that is JSON, or `Json`. `ttl`: in how
        many seconds it is gone, more than 0 and up to ten years; None: it stays. If a node gives no answer, it is sent
        again, and may overwrite what somebody else wrote in between: to rule that out, there is `put_if`. Raises
        KvsError: OutcomeUnknown if it may have happened all the same."""
        return self._thread.run(self._data.put(key, value, ttl=ttl))

    @overload
    def put_if(self, key: str, value: object, *, version: str, ttl: float | None = None) -> Stored: ...

    @overload
    def put_if(self, key: str, value: object, *, must_not_exist: Literal[True], ttl: float | None = None) -> Stored: ...

    def put_if(
        self,
        key: str,
        value: object,
        *,
        version: str | None = None,
        must_not_exist: bool = False,
        ttl: float | None = None,
    ) -> Stored:
        """Store a value if the key has that version, or if there is no such key. Of any number of clients that do this
        at the same time, one wins. It is never sent twice. Raises KvsError: ConditionFailed, with the present version;
        OutcomeUnknown if it may have happened all the same."""
        return self._thread.run(self._data.put_on(key, value, version, must_not_exist, ttl))

    def delete(self, key: str, *, if_version: str | None = None) -> bool:
        """Delete the key, if it has that version; whether there was one. It is never sent twice. Raises KvsError:
        ConditionFailed, with the present version; OutcomeUnknown if it may have happened all the same."""
        return self._thread.run(self._data.delete(key, if_version=if_version))


class Session(_Calls):
    """Reads and writes keys as a client does, one call after the other. To be used as `with`."""

    def __init__(self, session: AsyncSession, thread: _Thread, client: Client) -> None:
        super().__init__(session, thread)
        self._session = session
        self._client = client
        """Or it could be collected, and with it closed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.end()


class Counter:
    """Made by `Client.counter`."""

    def __init__(self, counter: AsyncCounter, thread: _Thread, client: Client) -> None:
        self._counter = counter
        self._thread = thread
        self._client = client
        """Or it could be collected, and with it closed."""

    def value(self) -> int:
        """The count; 0 of a counter that nobody has incremented. Raises KvsError."""
        return self._thread.run(self._counter.value())

    def increment(self, by: int = 1) -> int:
        """The count after that. Raises KvsError: Contended if others were faster each time; OutcomeUnknown if it may
        have been counted, and nobody can tell. After any other one it was not counted."""
        return self._thread.run(self._counter.increment(by))


class Lock:
    """Made by `Client.lock`. To be used as `with client.lock(name, ttl) as lock`: by one at a time, and any number of
    times."""

    def __init__(self, lock: AsyncLock, thread: _Thread, client: Client) -> None:
        self._lock = lock
        self._thread = thread
        self._client = client
        """Or it could be collected, and with it closed."""

    @property
    def is_held(self) -> bool:
        """Whether it certainly is at this moment; may be read from any thread. Once lost, it stays so."""
        return self._lock.is_held

    def token(self) -> int:
        """The fencing token: greater than that of any holder before, and the same each time it is asked for. It is
        counted under the key of the lock's name and `/token`. Raises KvsError: LockLost if the lock may be lost."""
        return self._thread.run(self._lock.token())

    def __enter__(self) -> Self:
        """Raises KvsError, of which Locked and Contended say that others have the lock."""
        self._thread.run(self._lock.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises LockLost if the lock was lost, or may have been. If the block ends with an error, that one goes on,
        and has a note of this."""
        self._thread.run(self._lock.__aexit__(kind, error, trace))


class Client(_Calls):
    """The store, for any number of threads. Use it as `with Client(...) as client`, or `close` it at the end. All
    methods raise KvsError."""

    def __init__(
        self,
        endpoints: str | Iterable[str],
        *,
        timeout_s: float = TIMEOUT_S,
        token: str | None = None,
        ca: CaFile | None = None,
    ) -> None:
        """`endpoints`: nodes to ask first, `"a:13800,b:13800"` or a list; the others are found through them. With
        `https://` before one of them, all are asked by TLS. `timeout_s`: for each call in all, of which one node gets
        half. A node answers within 2 s, whatever is down. `token`: for a store that wants one. `ca`: a file with the
        CAs that are believed, instead of those of the system. Raises BadRequest."""
        self._client = AsyncClient(endpoints, timeout_s=timeout_s, token=token, ca=ca)
        super().__init__(self._client, _Thread())
        self._end = weakref.finalize(self, self._thread.end, self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections. Calls under way raise what can be told of them."""
        self._end()

    def scan(self, prefix: str = "", *, limit: int | None = None) -> Iterator[Entry]:
        """The keys that begin with `prefix`, with values, in the order of their UTF-8 bytes, or the first `limit` of
        them. A key that exists throughout is told once, also while keys move. Raises KvsError."""
        for page in self._pages(self._client.pages(EntriesPage, prefix, limit)):
            for each in page.listed:
                yield Entry(each.key, bytes(each.value), each.etag, each.ttl)

    def keys(self, prefix: str = "", *, limit: int | None = None) -> Iterator[str]:
        """The same without values, at much less cost. Raises KvsError."""
        for page in self._pages(self._client.pages(KeysPage, prefix, limit)):
            yield from page.listed

    def batch(self, operations: Iterable[Operation]) -> Iterator[Result]:
        """Do many operations, and tell the result of each, in their order: what the call for one key gives, or the
        KvsError that it raises. There may be any number of them: they are read ahead of the results, some hundreds at
        once, and only some thousands are under way. Those of one key take effect in their order; together they are not
        atomic. A plain delete is repeated as a plain put is, and may then tell of its own first try. Raises Misuse, and
        what `operations` raises."""
        batch = self._thread.run(_begin_batch(self._client))
        failure = None
        try:
            try:
                for slots in slots_of(operations):
                    got = list[Slot]()
                    self._thread.run(batch.exchange(slots, got.extend))
                    yield from map(result_of, got)
            except Exception as error:  # After the results of what came before it.
                failure = error
            while rest := self._thread.run(batch.rest()):
                yield from map(result_of, rest)
            if failure is not None:
                raise failure
        finally:
            self._thread.begin(batch.close())

    def export(self, prefix: str = "") -> Iterator[Exported]:
        """All keys that begin with `prefix`, with values, in no order: much faster than `scan`. It goes on where nodes
        fail. A key that exists throughout is told once, as it was at some moment of the export. Raises KvsError."""
        blocks = self._client.export_blocks(prefix)
        try:
            for block in self._pages(blocks):
                yield from entries_in(block)
        finally:
            self._thread.begin(_leave(blocks))

    def watch(self, prefix: str = "") -> Iterator[Event]:
        """What happens to the keys that begin with `prefix`, for as long as it is iterated: `WasPut`, `WasDeleted`,
        `HasExpired`, of each key in the order of its versions; and a `Gap` at the beginning, and whenever something may
        have been missed: whoever keeps a copy lists anew then. Raises KvsError: Unreachable if no node tells any more
        for `timeout_s`."""
        events = self._client.watch(prefix)
        try:
            yield from self._pages(events)
        finally:
            with suppress(Misuse):  # It is closed, and so are they.
                self._thread.run(events.aclose())

    def session(self) -> Session:
        """What is read and written in it is never older than what was seen in it before, through whatever node:
        `with client.session() as session`."""
        return Session(self._client.session(), self._thread, self)

    def counter(self, name: str) -> Counter:
        """The counter that is kept under the key `name`."""
        return Counter(self._client.counter(name), self._thread, self)

    def lock(self, name: str, ttl: float, *, timeout: float | None = None, holder: str | None = None) -> Lock:
        """The lock that is kept under the key `name`: `with client.lock(name, ttl) as lock`. `ttl`: for how many
        seconds it is kept if its holder says nothing more, 1 at least; it is renewed until the block ends. `timeout`:
        for how long to wait for it, and then for the calls that are under way; 0: it is tried once; None: for ever.
        `holder`: what others are told of who holds it. Raises BadRequest."""
        return Lock(self._client.lock(name, ttl, timeout=timeout, holder=holder), self._thread, self)

    def _pages(self, pages: AsyncIterator[T]) -> Iterator[T]:
        """One at a time, when it is wanted."""
        while (page := self._thread.run(_next(pages))) is not None:
            yield page


async def _begin_batch(client: AsyncClient) -> Batch:
    return client.begin_batch()


async def _leave(blocks: AsyncGenerator[bytes, None]) -> None:
    await blocks.aclose()


async def _next(pages: AsyncIterator[T]) -> T | None:
    return await anext(pages, None)
