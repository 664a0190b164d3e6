"""A server that says what it is told to, byte for byte, whatever it is asked; none of HTTP could be made to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CUT = b"\0cut"
"""Instead of bytes: cut the connection off."""
END = b"\0end"
"""Instead of bytes: say that no more follows."""


class Scripted:
    """Takes connections, and answers each request on them with the next of `answers`, a part at a time."""

    def __init__(self, *answers: tuple[bytes, ...]) -> None:
        self._answers = iter(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.most = 0
        self.proceed = asyncio.Event()
        """No answer is given before."""
        self.proceed.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while request := await reader.read(1 << 16):
                self.requests.append(request)
                await self.proceed.wait()
                for part in next(self._answers):
                    if part == CUT:
                        writer.transport.abort()
                        return
                    if part == END:
                        writer.close()
                        return
                    writer.write(part)
                    await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.CancelledError):
            pass  # The end of the test.
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def served(script: Scripted) -> AsyncIterator[str]:
    """Gives the address."""
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
