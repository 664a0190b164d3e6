"""What waits for a client that watches comes over its connection: at once, in order, and at what pace it is read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from node.api import event_stream
from node.api.event_stream import EventStream, Turns
from node.values.record import Record
from node.values.version import make_version
from node.watching.joint import Event
from node.watching.watcher import Gap, Position, Told, Watcher
from tests.cluster import PATIENCE_S

START = Position("p0", {})
FIRST, COMMENT = b"first\n", b"comment\n"
MIB = 1 << 20


def text_of(item: Told | Gap) -> bytes:
    return b"gap\n" if isinstance(item, Gap) else item.event.key


class Streams:
    """A server that answers with one stream, and a client of it that reads what it is told to."""

    def __init__(self) -> None:
        self.watcher = Watcher(b"", False, START, 64 * MIB)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """What it ended with."""
        self.text_of = text_of
        self.port = 0
        self._client: socket.socket | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        stream = EventStream(Turns(), self.watcher, self.text_of)
        try:
            await stream.open(request, response, FIRST)
            await stream.run(lambda: COMMENT)
            self.ended.set_result("end")
        except Exception as fault:
            self.ended.set_result(type(fault).__name__)
        return response

    async def connect(self, version: str = "1.0") -> bytes:
        """And read what comes with the first line, and after it."""
        client = self._client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        await asyncio.get_running_loop().sock_sendall(client, f"GET / HTTP/{version}\r\nHost: it\r\n\r\n".encode())
        told = b""
        while FIRST not in told:
            told += await self.read()
        return told.partition(FIRST)[2]

    async def read(self) -> bytes:
        """What there is, once there is something."""
        assert self._client is not None
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.get_running_loop().sock_recv(self._client, MIB)

    async def rest(self) -> bytes:
        """All up to the end."""
        told = b""
        while part := await self.read():
            told += part
        return told

    def hang_up(self) -> None:
        if self._client is not None:
            self._client.close()

    def tell(self, *keys: bytes) -> None:
        for key in keys:
            self.watcher.tell(Event(key, Record(make_version(1, 1), b"1", False).encode()), START)

    async def end(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            return await self.ended


@pytest_asyncio.fixture
async def streams() -> AsyncIterator[Streams]:
    served, app = Streams(), web.Application()
    app.router.add_get("/", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.port = runner.addresses[0][1]
    yield served
    served.watcher.end()
    served.hang_up()
    await runner.cleanup()


async def test_stream_is_told_at_once_then_together_what_comes_within_a_rest(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "REST_S", 0.3)
    await streams.connect()
    streams.tell(b"a")
    streams.tell(b"b")
    assert await streams.read() == b"ab"
    reading = asyncio.ensure_future(streams.read())
    for key in (b"c", b"d", b"e"):
        streams.tell(key)
        await asyncio.sleep(0.01)
    assert await reading == b"cde"


async def test_stream_tells_what_waited_before_it_ran(streams: Streams) -> None:
    streams.tell(b"a")
    assert (await streams.connect() or await streams.read()) == b"a"


async def test_stream_in_chunks(streams: Streams) -> None:
    await streams.connect("1.1")
    streams.tell(b"k" * 17)
    assert (await streams.read()).endswith(b"11\r\n" + b"k" * 17 + b"\r\n")
    streams.watcher.end()
    assert (await streams.read()).endswith(b"0\r\n\r\n") and await streams.end() == "end"


async def test_stream_that_is_silent_has_a_comment(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "COMMENT_S", 0.2)
    await streams.connect()
    for _ in range(4):
        await asyncio.sleep(0.1)
        streams.tell(b"a")
        assert await streams.read() == b"a"
    assert await streams.read() == COMMENT
    assert await streams.read() == COMMENT


async def test_stream_that_is_over_tells_what_waits_and_ends(streams: Streams) -> None:
    await streams.connect()
    streams.tell(b"a")
    streams.watcher.tell_gap("why", START)
    streams.tell(b"b")
    streams.watcher.end()
    assert await streams.rest() == b"gap\nb" and await streams.end() == "end"


async def test_stream_of_a_client_that_reads_late_is_whole(streams: Streams) -> None:
    """What comes while it does not read waits, and comes after that, in order; then the end."""
    await streams.connect()
    parts = [b"%02d" % number * 64 * 1024 for number in range(100)]
    for part in parts:
        streams.tell(part)
        await asyncio.sleep(0.005)
    await asyncio.sleep(2 * event_stream.REST_S)
    assert streams.watcher.has_news, "the client was written to without end"
    streams.watcher.end()
    await asyncio.sleep(2 * event_stream.REST_S)
    assert not streams.ended.done(), "it ended before the client had what waited"
    assert await streams.rest() == b"".join(parts) and await streams.end() == "end"


async def test_stream_ends_once_the_client_has_taken_what_came_last(streams: Streams) -> None:
    await streams.connect()
    streams.tell(b"k" * 16 * MIB)
    streams.watcher.end()
    await asyncio.sleep(2 * event_stream.REST_S)
    assert not streams.ended.done()
    assert len(await streams.rest()) == 16 * MIB and await streams.end() == "end"


async def test_stream_of_a_client_that_reads_nothing_is_given_up(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "STUCK_S", 0.1)
    await streams.connect()
    while not streams.ended.done():
        streams.tell(b"k" * 64 * 1024)
        await asyncio.sleep(0.001)
    assert await streams.end() == "TimeoutError"


async def test_stream_of_a_client_that_has_gone_ends_with_what_comes_next(streams: Streams) -> None:
    await streams.connect()
    streams.hang_up()
    while not streams.ended.done():
        streams.tell(b"a")
        await asyncio.sleep(0.01)
    assert await streams.end() == "ConnectionResetError"


async def test_stream_ends_with_what_goes_wrong_in_a_write(streams: Streams) -> None:
    def fail(item: Told | Gap) -> bytes:
        raise ValueError

    streams.text_of = fail
    await streams.connect()
    streams.tell(b"a")
    assert await streams.end() == "ValueError"
