"""`AsyncClient`: the store as a program sees it that has an event loop.

Owns what is asked and what the answer means to the caller; whom to ask, how often and for how long is `kvs.asking`'s.
The blocking `Client` is this one on a thread of its own, and the command is built on this one too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from kvs.asking import Asker, Request
from kvs.batching import Batch
from kvs.counter import AsyncCounter
from kvs.data import Ask, Told, path_of, told_of
from kvs.endpoints import HTTPS, addresses_of, are_secure, endpoints_of
from kvs.errors import BadRequest, KvsError
from kvs.export_lines import entries_in
from kvs.exporting import Export, OnWaiting
from kvs.http import Reply
from kvs.listing import Page, pages
from kvs.lock import AsyncLock
from kvs.operations import Operation, Result, result_of, slot_of, slots_of
from kvs.repeating import Patience
from kvs.responses import EntriesPage, KeysPage
from kvs.session import AsyncSession
from kvs.tls import CaFile, context_of
from kvs.token import headers_of
from kvs.values import Entry, Exported
from kvs.waiting import Waiting
from kvs.watch import Event, watch

TIMEOUT_S = 5.0
_READ: dict[str, Callable[[Reply], Told]] = {
    "GET": partial(told_of, "GET"),
    "PUT": partial(told_of, "PUT"),
    "DELETE": partial(told_of, "DELETE"),
}


class AsyncClient(Waiting):
    """The store, for one event loop. Use it as `async with AsyncClient(...) as client`, or `close` it at the end. All
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
        if not 0 < timeout_s < float("inf"):
            raise BadRequest(f"timeout_s is a number of seconds above 0, not {timeout_s!r}")
        self._timeout_s = timeout_s
        self._begin_with(asker_of(endpoints_of(endpoints), Patience(timeout_s, timeout_s / 2, None), token, ca))

    _timeout_s = TIMEOUT_S

    def _begin_with(self, asker: Asker) -> None:
        self._asker = asker
        self._renewing = set[asyncio.Task[None]]()
        """Locks that are held."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections. Calls under way raise what can be told of them; locks that are held are lost."""
        for task in self._renewing:
            task.cancel()
        await self._asker.close()

    async def call(self, ask: Ask) -> Told:
        return await self.bring(ask, None)

    async def bring(self, ask: Ask, context: bytes | None) -> Told:
        """`context`: the causal context of a session."""
        key = ask.key
        request = Request(
            ask.method, _path(ask), _READ[ask.method], ask.effect, key.encode(), ask.conditions, _body(ask, context)
        )
        told, node = await self._asker.ask(request)
        if told.body.address is not None:
            self._asker.forwarded(key.encode(), node)
        return told

    async def scan(self, prefix: str = "", *, limit: int | None = None) -> AsyncIterator[Entry]:
        """The keys that begin with `prefix`, with values, in the order of their UTF-8 bytes, or the first `limit` of
        them. A key that exists throughout is told once, also while keys move. Raises KvsError."""
        async for page in self.pages(EntriesPage, prefix, limit):
            for each in page.listed:
                yield Entry(each.key, bytes(each.value), each.etag, each.ttl)

    async def keys(self, prefix: str = "", *, limit: int | None = None) -> AsyncIterator[str]:
        """The same without values, at much less cost. Raises KvsError."""
        async for page in self.pages(KeysPage, prefix, limit):
            for key in page.listed:
                yield key

    def pages(self, kind: type[Page], prefix: str, limit: int | None) -> AsyncIterator[Page]:
        """What `scan` and `keys` are made of."""
        return pages(self._asker, kind, prefix, limit)

    async def batch(self, operations: Iterable[Operation] | AsyncIterable[Operation]) -> AsyncIterator[Result]:
        """Do many operations, and tell the result of each, in their order: what the call for one key gives, or the
        KvsError that it raises. There may be any number of them: they are read ahead of the results, and only some
        thousands are under way. Those of one key take effect in their order; together they are not atomic. A plain
        delete is repeated as a plain put is, and may then tell of its own first try. Raises Misuse, and what
        `operations` raises."""
        batch = self.begin_batch()
        feeding = asyncio.create_task(_feed(batch, operations))
        try:
            while slots := await batch.results():
                for slot in slots:
                    yield result_of(slot)
            await feeding
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])
            await batch.close()

    def begin_batch(self, patience: Patience | None = None) -> Batch:
        """What `batch` is made of. `patience`: with each operation. Raises Misuse."""
        self._asker.look()
        return Batch(self._asker, patience or self._asker.patience.for_many())

    async def export(self, prefix: str = "") -> AsyncIterator[Exported]:
        """All keys that begin with `prefix`, with values, in no order: much faster than `scan`. It goes on where nodes
        fail. A key that exists throughout is told once, as it was at some moment of the export. Raises KvsError."""
        async with aclosing(self.export_blocks(prefix)) as blocks:
            async for block in blocks:
                for entry in entries_in(block):
                    yield entry

    def export_blocks(self, prefix: str = "", on_waiting: OnWaiting = lambda _: None) -> AsyncGenerator[bytes, None]:
        """What `export` is made of: JSON lines, many at a time. `on_waiting`: is told, after each try to get on that
        was in vain, why all since the last lines were."""
        return Export(self._asker, prefix, on_waiting).blocks()

    def watch(self, prefix: str = "") -> AsyncGenerator[Event, None]:
        """What happens to the keys that begin with `prefix`, for as long as it is iterated: `WasPut`, `WasDeleted`,
        `HasExpired`, of each key in the order of its versions; and a `Gap` at the beginning, and whenever something may
        have been missed: whoever keeps a copy lists anew then. Raises KvsError: Unreachable if no node tells any more
        for `timeout_s`."""
        return watch(self._asker, prefix, self._timeout_s)

    def session(self) -> AsyncSession:
        """What is read and written in it is never older than what was seen in it before, through whatever node:
        `async with client.session() as session`."""
        return AsyncSession(self.bring)

    def counter(self, name: str) -> AsyncCounter:
        """The counter that is kept under the key `name`."""
        return AsyncCounter(self, name)

    def lock(
        self,
        name: str,
        ttl: float,
        *,
        timeout: float | None = None,
        holder: str | None = None,
        on_waiting: Callable[[KvsError], object] = lambda _: None,
    ) -> AsyncLock:
        """The lock that is kept under the key `name`: `async with client.lock(name, ttl) as lock`. `ttl`: for how many
        seconds it is kept if its holder says nothing more, 1 at least; it is renewed until the block ends. `timeout`:
        for how long to wait for it, and then for the calls that are under way; 0: it is tried once; None: for ever.
        `holder`: what others are told of who holds it. `on_waiting`: is told, after each try that was in vain, why it
        was. Raises BadRequest."""
        return AsyncLock(self, name, ttl, self._renewing, timeout=timeout, holder=holder, on_waiting=on_waiting)


def asker_of(endpoints: tuple[str, ...], patience: Patience, token: str | None, ca: CaFile | None) -> Asker:
    """`endpoints`: as `endpoints_of` has them. Raises BadRequest."""
    is_secure = are_secure(endpoints)
    if ca is not None and not is_secure:
        raise BadRequest(f"a CA is for endpoints that begin with {HTTPS}")
    return Asker(addresses_of(endpoints), patience, headers_of(token), context_of(ca) if is_secure else None)


async def _feed(batch: Batch, operations: Iterable[Operation] | AsyncIterable[Operation]) -> None:
    """Until there are no more, or one is none."""
    try:
        if isinstance(operations, AsyncIterable):
            async for operation in operations:
                batch.add((slot_of(operation),))
                await batch.room()
        else:
            for slots in slots_of(operations):
                batch.add(slots)
                await batch.room()
    finally:
        batch.end()


def _path(ask: Ask) -> str:
    path = path_of(ask.key)
    return path if ask.wait is None else f"{path}?wait={ask.wait:.3f}"


def _body(ask: Ask, context: bytes | None) -> bytes | None:
    fields = list[bytes]()
    if ask.value is not None:
        fields.append(b'"value":' + ask.value)
    if ask.ttl is not None:
        fields.append(b'"ttl":' + msgspec.json.encode(ask.ttl))
    if context is not None:
        fields.append(b'"causal-context":' + context)
    return b"{%b}" % b",".join(fields) if fields else None
