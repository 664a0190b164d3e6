"""The HTTP interface for batches: lines that come in and lines that go out, on one connection, at the same time.

What has arrived is cut into *chunks*, each of so many lines as are there by then, and no more than a commit should
hold. A few chunks are under way at once, so that the client's bytes, the owners' disks and the answers do not wait for
each other; answers go out in order. A chunk that has a key in common with an earlier one begins when that is answered.

So memory is bounded by what a few chunks hold, however long the batch is: while so many are under way nothing is read,
and as long as the client reads no answers none is done. Who lets either wait for too long is not waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from aiohttp import StreamReader, web

from node.api.batch_lines import Cutter, Line, parse, refused, told
from node.api.data import body_in, demand_uncompressed
from node.api.tally import Tally
from node.config import Config
from node.errors import Reason, RequestFault, Unavailable
from node.operations.batching import Batching, Came

CHUNK_LINES_MAX = 512
"""Some milliseconds' work, of which the loop does no more than a third at a time."""
CHUNK_BYTES_MAX = 1024 * 1024
CHUNKS_MAX = 3
"""Of one batch, under way at a time: one that is read, one at the owners, one that is answered."""
WRITE_BYTES = 64 * 1024
"""So much of answers goes out at a time."""
HEADERS = {"Content-Type": "application/x-ndjson"}

log = logging.getLogger(__name__)


class BatchApi:
    """The handler of one path."""

    def __init__(self, config: Config, batching: Batching, tally: Tally) -> None:
        self._wait_s = config.body_s
        self._linger_s = config.drain_s / 2
        self._batching = batching
        self._tally = tally
        self._flows: set[_Flow] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        demand_uncompressed(request)
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        flow = _Flow(request.content, response, self._wait_s, self._batching, self._tally)
        self._flows.add(flow)
        try:
            await flow.run()
            if flow.is_cut_short:
                await self._linger(request, response)
        except* (ConnectionError, TimeoutError):
            _abort(request)
        except* Exception as faults:
            log.error("a batch failed", exc_info=faults)
            _abort(request)
        finally:
            self._flows.discard(flow)
        return response

    async def _linger(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the answers, and take what the client still sends for a while. Were the connection closed with that
        unread, the kernel would reset it, and the client would lose the last answers on their way."""
        async with asyncio.timeout(self._wait_s):
            await response.write_eof()
        with suppress(web.RequestPayloadError, TimeoutError):
            async with asyncio.timeout(self._linger_s):
                while await request.content.readany():
                    pass

    async def drain(self) -> None:
        """The node stops: what was begun is answered, and nothing more is read."""
        for flow in self._flows:
            flow.stop()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


class _Chunk:
    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.asked = [line.asked for line in lines if line.asked is not None]
        self.keys = {each.key for each in self.asked}
        self.came: asyncio.Task[Sequence[Came]]
        self.is_answered = asyncio.Event()


class _Flow:
    """One batch."""

    def __init__(
        self, content: StreamReader, response: web.StreamResponse, wait_s: float, batching: Batching, tally: Tally
    ) -> None:
        self._content = content
        self._response = response
        self._wait_s = wait_s
        self._batching = batching
        self._tally = tally
        self._slots = asyncio.Semaphore(CHUNKS_MAX)
        self._chunks: asyncio.Queue[_Chunk | None] = asyncio.Queue()
        """In order; None: there are no more."""
        self._under_way: list[_Chunk] = []
        self._waiting: asyncio.Timeout | None = None
        """For the client's bytes."""
        self._is_stopping = False
        self.is_cut_short = False
        """Whether the client may have sent more, which is not read."""

    async def run(self) -> None:
        """Raises a group of ConnectionError or TimeoutError if the client is gone, or reads no answers."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(tasks))
            while (chunk := await self._chunks.get()) is not None:
                await self._answer(chunk)

    def stop(self) -> None:
        """Read no more."""
        self._is_stopping = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    # What comes in

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        cutter = Cutter()
        try:
            while data := await self._receive():
                await self._take(tasks, cutter.cut(data))
            await self._take(tasks, cutter.end())
        except RequestFault as fault:
            self._response.force_close()
            self.is_cut_short = True
            await self._slots.acquire()
            self._begin(tasks, [refused(fault)])
        self._chunks.put_nowait(None)

    async def _receive(self) -> bytes:
        """Empty at the end. Raises RequestFault."""
        if self._is_stopping:
            raise _stopping()
        try:
            async with body_in(self._wait_s) as self._waiting:
                return await self._content.readany()
        except RequestFault:
            if self._is_stopping:
                raise _stopping() from None
            raise
        finally:
            self._waiting = None

    async def _take(self, tasks: asyncio.TaskGroup, lines: Sequence[bytes]) -> None:
        """Raises Unavailable."""
        for part in _parts(lines):
            await self._slots.acquire()
            if self._is_stopping:
                self._slots.release()
                raise _stopping()
            self._begin(tasks, [parse(line) for line in part])
            await asyncio.sleep(0)  # There may be room for the next one too: others have their turn in between.

    def _begin(self, tasks: asyncio.TaskGroup, lines: Sequence[Line]) -> None:
        """Now that there is room for it."""
        chunk = _Chunk(lines)
        before = [other for other in self._under_way if not other.keys.isdisjoint(chunk.keys)]
        chunk.came = tasks.create_task(self._carry_out(chunk, before))
        self._under_way.append(chunk)
        self._chunks.put_nowait(chunk)

    async def _carry_out(self, chunk: _Chunk, before: Sequence[_Chunk]) -> Sequence[Came]:
        for other in before:
            await other.is_answered.wait()
        return await self._batching.carry_out(chunk.asked) if chunk.asked else ()

    # What goes out

    async def _answer(self, chunk: _Chunk) -> None:
        came, parts, room = iter(await chunk.came), list[bytes](), WRITE_BYTES
        for line in chunk.lines:
            one = None
            if line.asked is not None:
                one = next(came)
                if one is None:
                    await self._write(parts)
                    parts, room = [], WRITE_BYTES
                    one = await self._batching.alone(line.asked)
            text, reason = told(line, one)
            self._tally.note_line(reason)
            parts.append(text)
            room -= len(text)
            if room < 0:
                await self._write(parts)
                parts, room = [], WRITE_BYTES
        await self._write(parts)
        self._under_way.remove(chunk)
        chunk.is_answered.set()
        self._slots.release()

    async def _write(self, parts: Sequence[bytes]) -> None:
        """Raises ConnectionError, and TimeoutError if the client reads nothing."""
        if parts:
            async with asyncio.timeout(self._wait_s):
                await self._response.write(b"".join(parts))


def _stopping() -> RequestFault:
    return Unavailable("This node is stopping").because(Reason.GATE)


def _parts(lines: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    """Cut to chunks."""
    if len(lines) <= CHUNK_LINES_MAX and sum(map(len, lines)) <= CHUNK_BYTES_MAX:
        return [lines] if lines else []
    return _cut(lines)


def _cut(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    start, room = 0, CHUNK_BYTES_MAX
    for place, line in enumerate(lines):
        room -= len(line)
        if place - start == CHUNK_LINES_MAX or (room < 0 and place > start):
            yield lines[start:place]
            start, room = place, CHUNK_BYTES_MAX - len(line)
    if start < len(lines):
        yield lines[start:]
