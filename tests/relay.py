"""A TCP relay in front of a node: it can fall silent, be far away, be slow, and lose large packets only."""

from __future__ import annotations

import asyncio

from gossip.view import Address, host_of, port_of

CHUNK_BYTES = 4096
"""What is passed on at once: several connections share a slow line as fairly as packets do."""


LATE_S_MAX = 0.1
"""By so much a line that is behind may catch up: one that a busy machine wakes late again and again is no slower."""


class Line:
    """One way of a slow line."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    async def carry(self, bytes_: int, bytes_s: float) -> None:
        """Wait until so much has got through behind all that came before."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now - LATE_S_MAX) + bytes_ / bytes_s
            await asyncio.sleep(self._free_at - now)


class Relay:
    """Listens at `address`, where a node is thought to be, and passes on to `far`, where it is."""

    def __init__(self, address: Address, far: Address) -> None:
        self.address = address
        self.passing = asyncio.Event()
        self.passing.set()
        self.delay_s = 0.0
        """Each way."""
        self.bytes_s: float | None = None
        """Each way, for all connections together; None: no bound."""
        self.packet_bytes_max: int | None = None
        """What comes larger at once is lost, again and again, and so is all that follows it on its connection; None: no
        bound."""
        self._far = far
        self._lines = (Line(), Line())
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, host_of(self.address), port_of(self.address))

    async def close(self) -> None:
        """Reset all connections, and take no more."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        far: asyncio.StreamWriter | None = None
        there, back = self._lines
        try:
            await self.passing.wait()
            far_reader, far = await asyncio.open_connection(host_of(self._far), port_of(self._far))
            ways = [
                asyncio.create_task(self._pass(reader, far, there)),
                asyncio.create_task(self._pass(far_reader, writer, back)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()
            self._connections.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        while data := await reader.read(max(CHUNK_BYTES, 1 + (self.packet_bytes_max or 0))):
            await self.passing.wait()
            if reader.exception() is not None:
                return
            if self.packet_bytes_max is not None and len(data) > self.packet_bytes_max:
                await asyncio.Event().wait()  # Until the connection is broken.
            if self.bytes_s is not None:
                await line.carry(len(data), self.bytes_s)
            if self.delay_s > 0:
                asyncio.get_running_loop().call_later(self.delay_s, _write, writer, data)
            else:
                writer.write(data)
                await writer.drain()


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.transport.is_closing():
        writer.write(data)
