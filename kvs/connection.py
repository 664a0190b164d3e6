"""One connection to a node: a request at a time, and its answer.

Not aiohttp's client, which takes twice the processor time over a request: a client that asks owners themselves would
wait for itself. What can go wrong is told as `Failed`, which says whether the request may have been executed. A
connection whose answer did not come, or not as a whole, is cut off, not closed: what it would still bring is nobody's.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

from kvs.endpoints import host_and_port
from kvs.http import Malformed, Missing, Reply, reply_in
from kvs.names import Names
from kvs.repeating import Failed

CONNECT_TIMEOUT_S = 1.0


class Connection(asyncio.Protocol):
    """To be made by `connect`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Reply] | None = None
        """Of the request under way."""
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

    def abort(self, reason: str) -> None:
        """Cut it off; the request under way, if any, fails with `reason`."""
        self.is_open = False
        self._transport.abort()
        self._fail(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclasses

    def data_received(self, data: bytes) -> None:
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
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Failed(reason, sent=True))


async def connect(node: str, names: Names, within_s: float) -> Connection:
    """Raises Failed."""
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
                _, connection = await asyncio.get_running_loop().create_connection(Connection, address, port)
                return connection
        except TimeoutError:
            reason = f"no connection within {within_s:.3g} s"
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else "no connection"
    raise Failed(reason, sent=False)
