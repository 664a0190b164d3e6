"""All keys of the store, a block of lines at a time, through whatever nodes: where one fails, another goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TypeAlias
from urllib.parse import quote, urlencode

from kvs.answers import body_in, no_result, refused
from kvs.asking import Asker
from kvs.connection import Stream
from kvs.errors import BadRequest, Unreachable
from kvs.export_lines import ExportReader
from kvs.http import Malformed, Reply
from kvs.repeating import Effect, Failed, Patience
from kvs.responses import ErrorBody
from kvs.values import prefix_of

OnWaiting: TypeAlias = Callable[[Unreachable], object]

PATIENCE = Patience(30.0, 10.0, None)
"""With each block: so long the keys may have no owner that can be reached."""


class Export:
    """One export on its way."""

    def __init__(self, asker: Asker, prefix: str, on_waiting: OnWaiting = lambda _: None) -> None:
        """`on_waiting`: is told, after each try that was in vain, why all since the last block were. Raises
        BadRequest."""
        self._asker = asker
        self._on_waiting = on_waiting
        self._reasons: dict[str, str] = {}
        """Why those who were asked since the last block have told none, by their addresses."""
        self._query = {"prefix": prefix_of(prefix)} if prefix else {}
        self._cursor: str | None = None
        self._node = ""
        self._stream: Stream | None = None
        """Of that node; None: there is none."""
        self._reader = ExportReader()
        self._closing = AsyncExitStack()
        self._ready = deque[bytes]()
        self._is_at_end = False

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Each of whole lines, and none of them empty. Raises KvsError."""
        try:
            while not self._is_at_end:
                course = self._asker.course(self._nodes, Effect.NONE, PATIENCE)
                await self._asker.pursue(course, self._attempt)
                self._reasons.clear()
                while self._ready:
                    yield self._ready.popleft()
        finally:
            await self._shut()

    def _nodes(self) -> Iterator[str]:
        if self._stream is not None:
            yield self._node
        for node in self._asker.nodes.in_turn(None, reads=True):
            if node != self._node or self._stream is None:
                yield node

    async def _attempt(self, node: str, within_s: float | None) -> None:
        """Get on by a block, or to the end. Raises Failed, or BadRequest."""
        try:
            if self._stream is None or node != self._node:
                await self._open(node, within_s)
            await self._read()
        except (Failed, Malformed) as failure:
            await self._shut()
            self._reasons[node] = str(failure)
            self._on_waiting(Unreachable(self._reasons))
            raise failure if isinstance(failure, Failed) else Failed(str(failure), sent=True) from None

    async def _open(self, node: str, silence_s: float | None) -> None:
        await self._shut()
        given = self._query | ({} if self._cursor is None else {"cursor": self._cursor})
        path = "/kvs/export" + (f"?{urlencode(given, quote_via=quote, safe='')}" if given else "")
        stream = await self._closing.enter_async_context(self._asker.stream(node, "GET", path, None, silence_s))
        if (await stream.head()).status != 200:
            raise _refusal(await stream.whole())
        self._node, self._stream, self._reader = node, stream, ExportReader()

    async def _read(self) -> None:
        assert self._stream is not None
        while not self._ready:
            part = await self._stream.read()
            if not part:
                last = self._reader.end()
                self._is_at_end = True
                if last:
                    self._ready.append(last)
                return
            self._ready.extend(self._reader.feed(part))
            self._cursor = self._reader.cursor or self._cursor

    async def _shut(self) -> None:
        self._stream = None
        await self._closing.aclose()


def _refusal(reply: Reply) -> Failed | BadRequest:
    """Raises Malformed."""
    refusal = body_in(reply, ErrorBody)
    if reply.status >= 500:
        return no_result(reply, refusal)
    if reply.status in (404, 405):
        return Failed("its release exports nothing", sent=False)
    return refused(reply.status, refusal.line)
