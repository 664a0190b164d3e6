"""The connections of one client to all nodes: kept while they may be of use, and never more than a bound of them.

The bound is on all of them together, as descriptors are: who asks for more at once waits for a turn, within its own
time. A node closes what was idle for 75 s. A connection is not used again after less than that, or the request could
cross its end on the way, and nobody would know what became of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from kvs.connection import CONNECT_TIMEOUT_S, Connection, Stream, connect
from kvs.http import Reply
from kvs.names import Names
from kvs.repeating import Busy, Failed

CONNECTIONS_MAX = 128
IDLE_S_MAX = 30.0
CLOSED = "the client was closed"


class Connections:
    def __init__(self, maximum: int = CONNECTIONS_MAX, tls: ssl.SSLContext | None = None) -> None:
        """`maximum`: of connections, and so of requests under way. `tls`: None: they are in the clear."""
        self._tls = tls
        self._maximum = maximum
        self._turns = asyncio.Semaphore(maximum)
        self._taken = 0
        """Turns: each is for one connection that is in use, or being made."""
        self._names = Names(CONNECT_TIMEOUT_S)
        self._idle: dict[str, list[Connection]] = {}
        """Of each node, the one that was used last at the end."""
        self._busy: set[Connection] = set()
        self._is_closed = False

    async def ask(self, node: str, request: bytes, within_s: float | None, *, once: bool = False) -> Reply:
        """`once`: take care not to send it on a connection that the node has closed. Raises Failed."""
        until = None if within_s is None else asyncio.get_running_loop().time() + within_s
        await self._take_turn(until)
        try:
            connection = await self._open(node, until, once)
            self._busy.add(connection)
            try:
                reply = await connection.ask(request, until, within_s)
            except Failed:
                self._drop(node)
                raise
            finally:
                self._busy.discard(connection)
            self._keep(node, connection)
            return reply
        finally:
            self._give_turn()

    @asynccontextmanager
    async def stream(self, node: str, request: bytes, silence_s: float | None) -> AsyncIterator[Stream]:
        """The answer as it comes; one that is not read to its end is cut off. `silence_s`: it fails if nothing comes
        for so long. Raises Failed."""
        until = None if silence_s is None else asyncio.get_running_loop().time() + silence_s
        await self._take_turn(until)
        try:
            connection = await self._open(node, until, once=True)
            self._busy.add(connection)
            try:
                yield connection.stream(request, silence_s)
            except Failed:
                self._drop(node)
                raise
            finally:
                self._busy.discard(connection)
                connection.end_stream()
            self._keep(node, connection)
        finally:
            self._give_turn()

    def close(self) -> None:
        """Cut all of them off; the requests under way fail."""
        self._is_closed = True
        for connection in [*self._busy, *(each for _, each in self._all_idle())]:
            connection.abort(CLOSED)
        self._idle.clear()

    async def _take_turn(self, until: float | None) -> None:
        """Raises Failed if there is none before `until`."""
        if self._turns.locked():
            try:
                async with asyncio.timeout_at(until):
                    await self._turns.acquire()
            except TimeoutError:
                raise Busy(self._maximum) from None
        else:
            await self._turns.acquire()
        self._taken += 1

    def _give_turn(self) -> None:
        self._taken -= 1
        self._turns.release()

    async def _open(self, node: str, until: float | None, once: bool) -> Connection:
        """An idle one, or a new one. Raises Failed."""
        kept = self._idle.get(node)
        if kept and once:
            # Two turns of the loop: one to read that the node has closed it, one to take note.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        while kept:
            connection = kept.pop()
            if connection.is_open and now - connection.idle_since < IDLE_S_MAX:
                return connection
            connection.abort("")
        self._make_room()
        within_s = CONNECT_TIMEOUT_S if until is None else until - now
        connection = await connect(node, self._names, within_s, self._tls)
        if self._is_closed:
            connection.abort("")
            raise Failed(CLOSED, sent=False)
        return connection

    def _keep(self, node: str, connection: Connection) -> None:
        if connection.is_open and not self._is_closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault(node, []).append(connection)
        else:
            connection.abort("")

    def _drop(self, node: str) -> None:
        """The idle ones to a node that gave no answer: they are as dead, or each would be waited for in vain."""
        for connection in self._idle.pop(node, ()):
            connection.abort("")

    def _make_room(self) -> None:
        """For one more. Those in use are never too many, so of the idle ones, the oldest give way."""
        idle = sorted(self._all_idle(), key=lambda each: each[1].idle_since)
        for node, connection in idle[: max(0, len(idle) + self._taken - self._maximum)]:
            self._idle[node].remove(connection)
            connection.abort("")

    def _all_idle(self) -> Iterator[tuple[str, Connection]]:
        return ((node, connection) for node, kept in self._idle.items() for connection in kept)
