"""A client's side of a batch, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gossip.view import Address, host_of, port_of
from node.api.batch_lines import BATCH

PATIENCE_S = 10.0


def line(**fields: object) -> bytes:
    return json.dumps({name.replace("_", "-"): value for name, value in fields.items()}).encode() + b"\n"


class Stream:
    """A client's side of one batch, which it sends in chunks of HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._buffer = b""
        self.head = b""

    def send(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")

    async def answer(self) -> Any:
        """The next line; None at the end. Raises IncompleteReadError if the connection ends before."""
        async with asyncio.timeout(PATIENCE_S):
            if not self.head:
                self.head = await self._reader.readuntil(b"\r\n\r\n")
            while b"\n" not in self._buffer:
                size = int(await self._reader.readuntil(b"\r\n"), 16)
                data = await self._reader.readexactly(size + 2)
                if not size:
                    assert not self._buffer
                    return None
                self._buffer += data[:-2]
            text, _, self._buffer = self._buffer.partition(b"\n")
            return json.loads(text)

    async def answers(self) -> list[Any]:
        """All that are left."""
        found = []
        while (answer := await self.answer()) is not None:
            found.append(answer)
        return found


@asynccontextmanager
async def stream(node: Address, headers: bytes = b"") -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection(host_of(node), port_of(node))
    writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%b\r\n" % (BATCH.encode(), headers))
    try:
        yield Stream(reader, writer)
    finally:
        writer.close()
