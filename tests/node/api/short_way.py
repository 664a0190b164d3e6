"""A server of the short way in, with an application behind it, and what asks it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from gossip.view import ViewId
from node.api.admission import Admission, Bounds
from node.api.answers import HttpAnswer
from node.api.conditions import NO_CONDITIONS, Given
from node.api.data import DataApi, PathKey
from node.api.fastpath import FastPath
from node.api.protocol import JsonProtocol
from node.api.staleness import Staleness
from node.limits import Limits
from node.operations.put import Put
from node.timing.turns import Turns
from tests.cluster import eventually
from tests.node.fakes.readiness import HandReadiness

PLAIN = b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\n\r\n"


class EchoApi(DataApi):
    """Stands in for a node: answers with what it was asked. GET at once, unless the key begins with `slow`; PUT of a
    key that begins with `quick` when its one of `puts` is done, and its one of `copies` if there is one, if both are a
    success; all else when `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.puts: list[asyncio.Future[Any]] = []
        self.copies: dict[bytes, asyncio.Future[bool]] = {}
        """By key."""

    def answer_here(self, method: str, key: PathKey, data: bytes, given: Given = NO_CONDITIONS) -> HttpAnswer | None:
        self.asked.append(key.raw.decode())
        if key.raw == b"broken":
            raise RuntimeError("broken")
        return self._echo(method, key, data) if method == "GET" and not key.raw.startswith(b"slow") else None

    def begin_put(self, method: str, key: PathKey, data: bytes, given: Given) -> Put | None:
        if key.raw == b"quick-to-fail":
            raise RuntimeError("broken")
        if method != "PUT" or not key.raw.startswith(b"quick"):
            return None
        self.puts.append(asyncio.get_running_loop().create_future())
        return Put(key.raw, data, b"", ViewId(0, 0), 0.0, 0.0, self.puts[-1])

    def await_copies(self, begun: Put) -> asyncio.Future[bool] | None:
        begun.copied = self.copies.get(begun.key)
        return begun.copied

    def end_put(self, begun: Put) -> HttpAnswer | None:
        is_done = begun.stored.result() and (begun.copied is None or begun.copied.result())
        return self._echo("PUT", PathKey.of(begun.key), begun.value) if is_done else None

    async def go_on(self, begun: Put) -> HttpAnswer:
        await self.go.wait()
        return self._echo("PUT", PathKey.of(begun.key), begun.value, by="later")

    async def answer(self, method: str, key: PathKey, data: bytes, given: Given = NO_CONDITIONS) -> HttpAnswer:
        await self.go.wait()
        return self._echo(method, key, data)

    async def handle(self, request: web.Request) -> web.Response:
        key = PathKey.from_path(request.raw_path)
        return self._echo(request.method, key, await request.read(), by="aiohttp").for_aiohttp()

    def _echo(self, method: str, key: PathKey, data: bytes, by: str = "here") -> HttpAnswer:
        body = f"{by} {method} {key.raw.decode()} {len(data)}".encode()
        return HttpAnswer(200, body.ljust(10_000) if key.raw == b"big" else body, {"X-Extra": "yes"})


class Server:
    def __init__(self, api: EchoApi, front: FastPath, behind: web.Server, port: int) -> None:
        self.api = api
        self.front = front
        self._behind = behind
        self._port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def accepted(self) -> bool:
        return bool(self.front.connections)

    async def has_let_go(self) -> bool:
        """Whether the one connection that was accepted is aiohttp's now, or closed."""
        return not self.front.connections

    async def is_left_alone(self) -> bool:
        """Whether no connection is open, on the short way or with aiohttp."""
        return not self.front.connections and not self._behind.connections

    async def at_work(self) -> bool:
        """Whether a request is under way."""
        return bool(self.front.under_way)

    async def reads_no_more(self) -> bool:
        """Whether the one connection there is has stopped reading."""
        return [connection._reading for connection in self.front.connections] == [False]

    async def ask(self, *pieces: bytes, answers: int = 1) -> list[str]:
        """The bodies of the answers to what is sent in these pieces. A first one that ends in the middle of a request
        has been given to aiohttp before the next one is sent."""
        reader, writer = await self.connect()
        await eventually(self.accepted, "the connection is accepted")
        for piece in pieces[:-1]:
            writer.write(piece)
            await eventually(self.has_let_go, "what is no whole request is aiohttp's")
        writer.write(pieces[-1])
        bodies = [(await read_answer(reader))[1].decode() for _ in range(answers)]
        writer.close()
        return bodies


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        return head, await reader.readexactly(int(length[1]))


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave for good: whoever merely closes its side may still listen, for all that the server knows."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Written(asyncio.Transport):
    """What is written, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = self.is_aborted = False
        self.is_read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


def bounds_of(limits: Limits | None = None, head_s: float = 1000.0, answer_s: float = 1000.0) -> Bounds:
    return Bounds(Admission(limits or Limits(), time.monotonic), head_s, lambda _: answer_s)


@contextmanager
def aiohttps_connection(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], start: bytes
) -> Iterator[tuple[JsonProtocol, Written]]:
    """A connection that has been handed to aiohttp with these bytes, to be given more of them piece by piece."""
    loop, turns = asyncio.get_running_loop(), Turns(3600.0, time.monotonic)
    staleness = Staleness(HandReadiness(), turns, time.monotonic, 1000.0)
    protocol, transport = (
        JsonProtocol(web.Server(handler), staleness, bounds_of(), loop=loop, access_log=None),
        Written(),
    )
    protocol.take_over(transport, start, is_all=False)
    yield protocol, transport
    protocol.force_close()
    turns.close()
