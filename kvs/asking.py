"""Brings requests to nodes: does what `kvs.repeating` and `kvs.nodes` decide, and keeps the ring up to date.

Belongs to the event loop in which it is first used. Everything that it begins ends with `close`: the connections, the
look at the ring, and the calls under way, which tell then what can be told of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Generic, TypeVar

import msgspec

from kvs.answers import NOT_ALLOWED, body_in, no_result, refused
from kvs.connection import Stream
from kvs.connections import CLOSED, Connections
from kvs.errors import KvsError, Misuse, NotAllowed
from kvs.http import NO_HEADERS, Malformed, Reply, request
from kvs.nodes import Nodes
from kvs.repeating import Ask, Busy, Course, Effect, Failed, GiveUp, Patience, Pause
from kvs.responses import ErrorBody, RingMap

T = TypeVar("T")

INTRODUCED_AT_ONCE = 16
"""So many nodes of a ring are asked for theirs at the same time: enough to be quick with 200, few enough not to be a
burst."""
INTRODUCTION_S = 2.0
"""For each of them to answer."""


class Request(msgspec.Struct, Generic[T], frozen=True):
    method: str
    path: str
    """Percent-encoded."""
    read: Callable[[Reply], T]
    """What the answer says. Raises Failed if this node gives no result, Malformed if it is not the answer of a store,
    KvsError for a refusal."""
    effect: Effect
    key: bytes | None = None
    """Whose owners to ask; None: any node."""
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes | None = None
    node_s: float | None = None
    """For one node to answer; None: what the asker's patience says."""


class Asker:
    def __init__(
        self,
        endpoints: tuple[str, ...],
        patience: Patience,
        headers: Mapping[str, str] = NO_HEADERS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`endpoints`: addresses. `headers`: of every request. `tls`: None: nodes are asked in the clear."""
        self.tls = tls
        self.patience = patience
        self.headers = headers
        self._chance = random.Random()
        self.nodes = Nodes(endpoints, self._chance)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._looking: asyncio.Task[None] | None = None
        self.streams: set[asyncio.StreamWriter] = set()
        """Those that last until they are broken off."""

    def check_open(self) -> None:
        """Raises Misuse if it is closed, or of another loop."""
        self._begin()

    async def ask(self, asked: Request[T]) -> tuple[T, str]:
        """What is answered, and by which node. Raises KvsError."""
        course = self.course(
            lambda: self.nodes.in_turn(asked.key, reads=asked.effect is Effect.NONE),
            asked.effect,
            self.patience,
            asked.node_s,
        )
        return await self.pursue(course, partial(self._ask_one, asked))

    def course(
        self, nodes: Callable[[], Iterable[str]], effect: Effect, patience: Patience, node_s: float | None = None
    ) -> Course:
        """One that begins now. Raises Misuse."""
        return Course(nodes, effect, patience, self._begin().time(), self._chance, node_s)

    async def pursue(self, course: Course, attempt: Callable[[str, float | None], Awaitable[T]]) -> tuple[T, str]:
        """What `attempt`, of a node and the seconds that it has, brings at last, and at which node. It raises Failed
        where a node gives no result. Raises KvsError."""
        loop = self._begin()
        while True:
            step = course.step(loop.time())
            match step:
                case GiveUp(fault):
                    self._look_around(loop)
                    raise fault
                case Pause(seconds):
                    await self._pause(seconds)
                case Ask(node, within_s):
                    try:
                        told = await attempt(node, within_s)
                    except Failed as failure:
                        if not isinstance(failure, Busy):
                            self.nodes.failed(node)
                        course.failed(node, failure, loop.time())
                    except KvsError:
                        self.nodes.answered(node)
                        raise
                    else:
                        self.nodes.answered(node)
                        self._look_around(loop)
                        return told, node
            if self._is_closed:
                raise course.fault()

    def stream(
        self, node: str, method: str, path: str, body: bytes | None, silence_s: float | None
    ) -> AbstractAsyncContextManager[Stream]:
        """The answer of one node, read while it comes. Raises Failed."""
        return self._connections.stream(node, request(node, method, path, self.headers, body), silence_s)

    def forwarded(self, key: bytes, asked: str) -> None:
        """The node that was asked about the key has answered with what another one said."""
        self.nodes.forwarded(key, asked)
        self._look_around(asyncio.get_running_loop())

    def look(self) -> None:
        """Look up the ring beside the calls, unless it is known. Raises Misuse."""
        self._begin()
        if self.nodes.owners is None and self._looking is None:
            self._in_background(self._look())

    async def learn_ring(self) -> None:
        """Look it up now. Raises KvsError."""
        ring, _ = await self.ask(RING)
        self._introduce_in_background(ring)

    async def close(self) -> None:
        """The calls under way end with what can be told of them."""
        if self._loop is None or self._is_closed:
            self._is_closed = True
            return
        self._check_loop(asyncio.get_running_loop())
        self._is_closed = True
        self._end.set()
        self._connections.close()
        for stream in self.streams:
            stream.transport.abort()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _begin(self) -> asyncio.AbstractEventLoop:
        """Raises Misuse."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise Misuse(CLOSED)
        if self._loop is None:
            self._loop = loop
            self._connections = Connections(tls=self.tls)
            self._end = asyncio.Event()
        self._check_loop(loop)
        return loop

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            raise Misuse("the client belongs to another event loop: make one for each, or use kvs.Client")

    async def _ask_one(self, asked: Request[T], node: str, within_s: float | None) -> T:
        """Raises Failed or KvsError."""
        data = request(node, asked.method, asked.path, {**self.headers, **asked.headers}, asked.body)
        reply = await self._connections.ask(node, data, within_s, once=asked.effect is Effect.ONCE)
        try:
            if reply.status in NOT_ALLOWED:
                raise refused(reply.status, body_in(reply, ErrorBody).line)
            return asked.read(reply)
        except Malformed as fault:
            raise Failed(str(fault), sent=True) from None

    async def _pause(self, seconds: float) -> None:
        """Or less, if the client is closed meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()

    def _look_around(self, loop: asyncio.AbstractEventLoop) -> None:
        """At the ring, if that is due, while the calls go on."""
        if self._looking is None and self.nodes.should_look(loop.time()) and not self._is_closed:
            self._in_background(self._look())

    def _introduce_in_background(self, ring: RingMap) -> None:
        strangers = self.nodes.learned(ring)
        if strangers and self._looking is None:
            self._in_background(self._introduce(strangers, ring))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        assert self._loop is not None
        self._looking = self._loop.create_task(work)
        self._looking.add_done_callback(self._has_looked)

    def _has_looked(self, _: asyncio.Task[None]) -> None:
        self._looking = None

    async def _look(self) -> None:
        try:
            ring, _ = await self.ask(RING)
        except KvsError:
            return  # Whoever asks for a key will be told; the ring is looked up again in a while.
        await self._introduce(self.nodes.learned(ring), ring)

    async def _introduce(self, strangers: tuple[str, ...], ring: RingMap) -> None:
        """Find out which of them can be asked: those that can be reached, and hold the view of this ring. What answers
        at an address of another network may be anything, another store too."""
        turns = asyncio.Semaphore(INTRODUCED_AT_ONCE)

        async def is_up(node: str) -> bool:
            async with turns:
                try:
                    theirs = await self._ask_one(RING, node, INTRODUCTION_S)
                except (Failed, NotAllowed):
                    return False
            if (theirs.epoch, theirs.digest) != (ring.epoch, ring.digest):
                return False
            self.nodes.answered(node)
            return True

        self.nodes.introduced(all(await asyncio.gather(*map(is_up, strangers))))


def _ring_in(reply: Reply) -> RingMap:
    if reply.status != 200:
        raise no_result(reply, body_in(reply, ErrorBody))
    return body_in(reply, RingMap)


RING = Request("GET", "/kvs/ring", _ring_in, Effect.NONE)
