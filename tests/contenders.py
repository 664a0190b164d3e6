"""Clients that read, write and delete the same few keys at once through all nodes: is what they were told linearizable?

Each asks one node after the other for whatever it likes, and keeps when it asked, when it was answered, and what. A
request without an answer, or with a 5xx, may have been executed at any time after, or never.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import msgspec

from tests.linearizability import Kind, Operation, unexplained
from tests.locks import OPEN, Way

PATIENCE_S = 2.0
CLIENTS, KEYS = 8, 12
WRITES_SHARE, DELETES_SHARE = 0.4, 0.15
"""How many of the operations are writes, and how many deletions."""


class Violation(NamedTuple):
    """A history that is not linearizable."""

    key: str
    history: Sequence[Operation]
    unexplained: Sequence[Operation]

    def __str__(self) -> str:
        return f"the history of {self.key} is not linearizable: {self.unexplained}"


class Contenders:
    """`nodes`: where clients reach them; may be changed at any time."""

    def __init__(
        self,
        nodes: Sequence[str],
        seed: int = 1,
        think_s: float = 0.0,
        name: str = "contended",
        way: Way = OPEN,
    ) -> None:
        """`think_s`: at most, between an answer and the next request of the same client; `name`: what their keys begin
        with, which nobody has used before."""
        self.nodes = list(nodes)
        self._name = name
        self._way = way
        self.histories: defaultdict[str, list[Operation]] = defaultdict(list)
        self.seen: Counter[str] = Counter()
        """How many operations of each kind were answered, and not."""
        self._rng = random.Random(seed)
        self._think_s = think_s
        self._written = 0
        self._under_way = 0
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """They are at work as long as the block runs; what is under way at its end is waited for."""
        stop = asyncio.Event()
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._way.tls or True)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._way.headers) as session:
            session._retry_connection = False  # A PUT that is repeated behind the client's back is two.
            clients = [asyncio.create_task(self._work(session, stop)) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                stop.set()
                self._may_go_on.set()
                await asyncio.gather(*clients)

    @property
    def keys(self) -> list[str]:
        return [f"{self._name}{number}" for number in range(KEYS)]

    @property
    def done(self) -> int:
        return self.seen.total()

    async def go_on(self, operations: int) -> None:
        """Wait until so many more are done."""
        goal = self.done + operations
        while self.done < goal:
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Nothing is under way while the block runs."""
        self._may_go_on.clear()
        while self._under_way:
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            self._may_go_on.set()

    def violations(self) -> list[Violation]:
        found = []
        for key, history in sorted(self.histories.items()):
            if left := unexplained(history):
                found.append(Violation(key, history, left))
        return found

    async def _work(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._may_go_on.wait()
            number, key = self._rng.random(), f"{self._name}{self._rng.randrange(KEYS)}"
            if number < WRITES_SHARE:
                self._written += 1
                await self._operate(session, Kind.PUT, key, b"%d" % self._written)
            elif number < WRITES_SHARE + DELETES_SHARE:
                await self._operate(session, Kind.DELETE, key, None)
            else:
                await self._operate(session, Kind.GET, key, None)
            if self._think_s:
                await asyncio.sleep(self._rng.uniform(0, self._think_s))

    async def _operate(self, session: aiohttp.ClientSession, kind: Kind, key: str, value: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        url = f"{self._way.scheme}://{self._rng.choice(self.nodes)}/kvs/keys/{key}"
        body = None if value is None else b'{"value":' + value + b"}"
        operation = Operation(kind, value, loop.time())
        self._under_way += 1
        try:
            async with session.request(kind.name, url, data=body) as response:
                answer = await response.read()
                operation = _told(operation, response.status, answer, loop.time())
        except TimeoutError:
            pass
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.02)  # Nobody is there: no need to ask a thousand times a second.
        self._under_way -= 1
        self.seen[kind.name if operation.is_answered else f"{kind.name} without answer"] += 1
        self.histories[key].append(operation)


class _Answer(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw()


def _told(operation: Operation, status: int, body: bytes, now: float) -> Operation:
    """What an answer says. Of two writes at once, at two owners, each may say that it replaced what was there before
    both: so that is not judged. A DELETE that found nothing has written nothing: it is a read."""
    kind = operation.kind
    if kind is Kind.GET and status == 200:
        return operation._replace(value=bytes(msgspec.json.decode(body, type=_Answer).value), answered=now)
    if status == 404 and kind is not Kind.PUT:
        return operation._replace(kind=Kind.GET, value=None, answered=now)
    if status in (200, 201) and kind is not Kind.GET:
        return operation._replace(answered=now)
    assert status >= 500, f"{kind.name}: {status} {body!r}"
    return operation
