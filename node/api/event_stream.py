"""What waits for clients that watch, brought to their connections without a task that wakes for each event.

A thousand streams are told of something a few times a second each. A task that wakes for every event, and waits for
its write with a limit of time, costs more than the write itself. So what comes for a stream is written by a callback,
in the next turn of the loop, with all else that comes until then; after that the stream rests for a while. Its task is
woken only for what takes waiting: a client that does not take what it was sent, one that was sent nothing for long, and
the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from node.watching.watcher import Gap, Told, Watcher

COMMENT_S = 15.0
"""After so long without an event comes a comment, so that a connection that is broken is noticed at both ends."""
STUCK_S = 30.0
"""A client that has read nothing for so long is left to itself."""
REST_S = 0.05
"""What happens within this is sent at once: under load, a thousand streams cost a thousand packets each time."""


class Turns:
    """When streams are written to: in the next turn of the loop, unless they rest. All share its callbacks."""

    def __init__(self) -> None:
        self._due: list[EventStream] = []

    def take(self, stream: EventStream) -> None:
        """Have it written to, and call its `end_rest` a while after that."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._write)
        self._due.append(stream)

    def _write(self) -> None:
        due, self._due = self._due, []
        for stream in due:
            stream.write()
        asyncio.get_running_loop().call_later(REST_S, self._end_rest, due)

    def _end_rest(self, rested: Sequence[EventStream]) -> None:
        for stream in rested:
            stream.end_rest()


class EventStream:
    """The answer to one client. `open`, then `run`. `text_of`: what is sent of something that waited."""

    def __init__(self, turns: Turns, watcher: Watcher, text_of: Callable[[Told | Gap], bytes]) -> None:
        self._turns = turns
        self._watcher = watcher
        self._text_of = text_of
        self._loop = asyncio.get_running_loop()
        self._protocol: web.RequestHandler
        self._transport: asyncio.Transport
        self._writer: AbstractStreamWriter
        self._is_chunked = False
        self._written_at = 0.0
        """When something was sent last, by the loop's time."""
        self._has_turn = False
        """Whether it is to be written to, or rests."""
        self._is_blocked = False
        """Whether the client has yet to take what it was sent."""
        self._is_over = False
        self._fault: Exception | None = None
        """Why it is over, if that is no end."""
        self._stirred = asyncio.Event()
        """Set for the task to look what there is to do."""

    async def open(self, request: web.Request, response: web.StreamResponse, first: bytes) -> None:
        """Raises ConnectionError."""
        self._is_chunked = request.version >= HttpVersion11
        if self._is_chunked:
            response.enable_chunked_encoding()
        writer, transport = await response.prepare(request), request.transport
        if writer is None or transport is None:
            raise ConnectionResetError("the client has gone")
        self._protocol, self._transport, self._writer = request.protocol, transport, writer
        await response.write(first)
        self._written_at = self._loop.time()

    async def run(self, comment: Callable[[], bytes]) -> None:
        """Until nothing more will come. `comment`: what is sent when all has been told. Raises ConnectionError or
        TimeoutError: the client has gone, or reads nothing."""
        self._watcher.attach(self._wake)
        try:
            self._go_on()
            while not self._is_over:
                await self._stir()
                if self._is_blocked:
                    async with asyncio.timeout(STUCK_S):
                        await self._writer.drain()
                    self._is_blocked = False
                    self._go_on()
                elif self._is_silent() and not self._watcher.has_news:
                    self._send(comment())
        finally:
            self._is_over = True
        if self._fault is not None:
            raise self._fault

    async def _stir(self) -> None:
        """Until there is something to do for the task, or nothing was sent for long."""
        try:
            async with asyncio.timeout_at(self._written_at + COMMENT_S):
                await self._stirred.wait()
        except TimeoutError:
            pass
        self._stirred.clear()

    def _is_silent(self) -> bool:
        return self._loop.time() >= self._written_at + COMMENT_S

    def _wake(self) -> None:
        """There is something to be told, or the end."""
        if not self._has_turn and not self._is_blocked:
            self._has_turn = True
            self._turns.take(self)

    def _go_on(self) -> None:
        if self._watcher.has_news and not self._is_over:
            self._wake()

    def write(self) -> None:
        """All that waits. What goes wrong with that is for the task."""
        if self._is_over:
            return
        try:
            if items := self._watcher.taken():
                self._send(b"".join(map(self._text_of, items)))
        except Exception as fault:
            self._fault = fault
        if self._fault is not None or self._watcher.is_over:
            self._is_over = True
            self._stirred.set()

    def end_rest(self) -> None:
        self._has_turn = False
        self._go_on()

    def _send(self, text: bytes) -> None:
        """Raises ConnectionError."""
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(b"%x\r\n%b\r\n" % (len(text), text) if self._is_chunked else text)
        self._written_at = self._loop.time()
        if self._protocol.writing_paused:
            self._is_blocked = True
            self._stirred.set()
