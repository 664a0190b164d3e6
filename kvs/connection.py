"""One connection to a node: a request at a time, and its answer.

Not aiohttp's client, which takes twice the processor time over a request: a client that asks owners themselves would
wait for itself. What can go wrong is told as `Failed`, which says whether the request may have been executed. A
connection whose answer did not come, or not as a whole, is cut off, not closed: what it would still bring is nobody's.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from kvs.endpoints import host_and_port
from kvs.http import Malformed, Missing, Reply, reply_in
from kvs.names import Names
from kvs.repeating import Failed
from kvs.streamed import StreamedReply
from kvs.tls import reason_of

CONNECT_TIMEOUT_S = 1.0
UNREAD_BYTES_MAX = 256 * 1024
"""So much of an answer that streams is taken before it is read; then the node has to wait."""


class Stream:
    """An answer that is read while it comes. To be made by `Connection.stream`."""

    def __init__(self, connection: Connection, transport: asyncio.Transport, silence_s: float | None) -> None:
        self._connection = connection
        self._transport = transport
        self._silence_s = silence_s
        self._reply = StreamedReply()
        self._unread = list[bytes]()
        self._unread_bytes = 0
        self._is_paused = False
        self._failure: Failed | None = None
        self._came: asyncio.Future[None] | None = None
        """Of whoever waits for more."""

    @property
    def is_whole(self) -> bool:
        return self._reply.is_whole

    @property
    def is_last(self) -> bool:
        """Whether no other request may follow on the connection."""
        return self._reply.head is None or self._reply.head.is_last

    async def head(self) -> Reply:
        """Its status and headers. Raises Failed."""
        while self._reply.head is None:
            await self._more()
        return self._reply.head

    async def read(self) -> bytes:
        """What has come of the body since, something at least; empty at its end. Raises Failed."""
        while not self._unread:
            if self.is_whole:
                return b""
            await self._more()
        part = b"".join(self._unread)
        self._unread.clear()
        self._unread_bytes = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return part

    async def whole(self) -> Reply:
        """With all of its body: for answers that are short. Raises Failed."""
        head, parts = await self.head(), []
        while part := await self.read():
            parts.append(part)
        return head._replace(body=b"".join(parts))

    def feed(self, data: bytes) -> None:
        """Raises Malformed."""
        if part := self._reply.feed(data):
            self._unread.append(part)
            self._unread_bytes += len(part)
            if self._unread_bytes > UNREAD_BYTES_MAX and not self._is_paused and not self.is_whole:
                self._is_paused = True
                self._transport.pause_reading()
        self._wake()

    def fail(self, reason: str) -> None:
        if not self.is_whole and self._failure is None:
            self._failure = Failed(reason, sent=True)
        self._wake()

    async def _more(self) -> None:
        """Wait until something comes. Raises Failed."""
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        came = self._came = loop.create_future()
        timer = None if self._silence_s is None else loop.call_later(self._silence_s, self._expire)
        try:
            await came
        finally:
            self._came = None
            if timer is not None:
                timer.cancel()
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)

    def _expire(self) -> None:
        self._connection.abort(f"no answer within {self._silence_s:.3g} s")


class Connection(asyncio.Protocol):
    """To be made by `connect`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Reply] | None = None
        """Of the request under way."""
        self._stream: Stream | None = None
        """The same, of a request whose answer is read while it comes."""
        self._data: bytes | bytearray = b""
        self._bytes_needed = 0
        self.is_open = True
        self.idle_since = 0.0

    async def ask(self, request: bytes, until: float | None, within_s: float | None) -> Reply:
        """`until`: by the loop's time, which is `within_s` after the call began. Raises Failed, and the connection is
        not open any more then."""
        assert self._answer is None and self.is_open
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._answer = answer
        self._transport.write(request)
        timer = None if until is None else self._loop.call_at(until, self._expire, within_s)
        try:
            return await answer
        except BaseException:
            self.abort("the connection was given up")
            raise
        finally:
            self._answer = None
            if timer is not None:
                timer.cancel()

    def stream(self, request: bytes, silence_s: float | None) -> Stream:
        """Send it, and have its answer as it comes. `silence_s`: it fails if nothing comes for so long."""
        assert self._answer is None and self._stream is None and self.is_open
        self._stream = Stream(self, self._transport, silence_s)
        self._transport.write(request)
        return self._stream

    def end_stream(self) -> None:
        """The answer is whole, and another request may follow; or it is given up, and the connection with it."""
        assert self._stream is not None
        stream, self._stream = self._stream, None
        if stream.is_last or not stream.is_whole:
            self.abort("")

    def abort(self, reason: str) -> None:
        """Cut it off; the request under way, if any, fails with `reason`."""
        self.is_open = False
        self._transport.abort()
        self._fail(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclasses

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            try:
                self._stream.feed(data)
            except Malformed as fault:
                self.abort(str(fault))
            return
        if self._answer is None or self._answer.done():
            self.abort("")  # Nobody asked.
            return
        if self._data:
            self._data += data
            if len(self._data) < self._bytes_needed:
                return
        else:
            self._data = data
        try:
            reply = reply_in(self._data)
        except Malformed as fault:
            self.abort(str(fault))
            return
        if isinstance(reply, Missing):
            self._data, self._bytes_needed = bytearray(self._data), reply.bytes_needed
            return
        self._data = b""
        if reply.is_last:
            self.is_open = False
            self._transport.close()
        self._answer.set_result(reply)

    def eof_received(self) -> None:
        self.is_open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._fail("the connection broke")

    def _expire(self, within_s: float | None) -> None:
        self.abort(f"no answer within {within_s:.3g} s")

    def _fail(self, reason: str) -> None:
        if self._stream is not None:
            self._stream.fail(reason)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Failed(reason, sent=True))


async def connect(node: str, names: Names, within_s: float, tls: ssl.SSLContext | None = None) -> Connection:
    """`tls`: None: in the clear. Raises Failed."""
    host, port = host_and_port(node)
    within_s = min(within_s, CONNECT_TIMEOUT_S)
    try:
        addresses = await names.addresses(host)
    except OSError:
        raise Failed("no address is found for its name", sent=False) from None
    reason = ""
    for address in addresses:
        try:
            async with asyncio.timeout(within_s / len(addresses)):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, address, port, ssl=tls, server_hostname=None if tls is None else host
                )
                return connection
        except TimeoutError:
            reason = f"no connection within {within_s:.3g} s"
        except OSError as error:
            reason = reason_of(error)
    raise Failed(reason, sent=False)
