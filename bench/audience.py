"""Clients that watch, each on a connection of its own, read what they are told, and throw it away.

A process of its own, told by one line of JSON, a `Job`, on stdin; it says on stdout when all are there, watches until
stdin ends, and then says how many events there were. Like `load`, it has to be several times cheaper than the server
that it watches through, or it is itself what is measured: nothing of an event is looked at but that it is one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import msgspec
import uvloop

from bench.servers import ROOT
from gossip.view import Address, host_of, port_of

HEAD_END = b"\r\n\r\n"
EVENT = b"event: put"
CONNECTING_MAX = 50
"""Connections that are made at a time: a node that is busy would take more for late."""


class Job(msgspec.Struct, frozen=True):
    address: Address
    keys: list[str]
    """Each is watched by one client."""


@contextmanager
def watching(job: Job) -> Iterator[Callable[[], int]]:
    """While they do. The events that they were told, to be asked for at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.audience"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
        if not process.stdout.readline():
            raise RuntimeError("nobody watches")

        def events() -> int:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            return int(process.stdout.readline())

        yield events


class Watcher(asyncio.Protocol):
    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._head = bytearray()
        self.is_there: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclasses

    def data_received(self, data: bytes) -> None:
        self._audience.events += data.count(EVENT)
        if not self.is_there.done():
            self._head += data
            if HEAD_END in self._head:
                self.is_there.set_result(self._head.startswith(b"HTTP/1.0 200"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.is_there.done():
            self.is_there.set_result(False)


class Audience:
    def __init__(self, job: Job) -> None:
        self.events = 0
        self._job = job
        self._turns = asyncio.Semaphore(CONNECTING_MAX)

    async def gather(self) -> None:
        """Until all are there."""
        await asyncio.gather(*(self._watch(key) for key in self._job.keys))

    async def _watch(self, key: str) -> None:
        """Asked for again as long as the node, which was busy, takes that for late."""
        address = self._job.address
        async with self._turns:
            while True:
                transport, watcher = await asyncio.get_running_loop().create_connection(
                    lambda: Watcher(self), host_of(address), port_of(address)
                )
                transport.write(f"GET /kvs/watch?prefix={key} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                if await watcher.is_there:
                    return
                transport.abort()


async def main() -> None:
    audience = Audience(msgspec.json.decode(sys.stdin.buffer.readline(), type=Job))
    await audience.gather()
    print("there", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    print(audience.events, flush=True)


if __name__ == "__main__":
    uvloop.run(main())
