"""One real node with its HTTP interface, on virtual time and a simulated disk, and what it answers to bytes.

No socket is involved, so that some hundreds of such nodes a second can be made, and the same bytes always get the same
answer.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiohttp import web

from gossip.view import Address
from node.api.admission import Admission, Bounds
from node.api.app import make_app
from node.api.data import DataApi
from node.api.doors import Doors
from node.api.fastpath import FastPath
from node.api.protocol import JsonProtocol
from node.api.request_log import HEADER, RequestLog
from node.api.staleness import Staleness
from node.api.tally import Tally
from node.limits import Limits
from node.net.messages import Request
from node.net.pool import Peers
from node.net.transport import Answering
from node.secret_files import Line, SecretFile
from node.timing.turns import Turns
from node.tokens import Tokens, parse_tokens
from tests.node.api.short_way import Written
from tests.node.lone_owner import lone_owner
from tests.node.tokens import ADMIN, READ, WRITE, lines_for

ANSWERED_S = 3.0
"""By then, every request is answered but for those that wait on purpose."""
DESCRIPTORS = 1 << 20

Answers = Callable[[Request], Answering]
NOBODY: Mapping[Address, Answers] = {}

_CHANGING = (
    (re.compile(rb"\r\nDate: [^\r]*"), b""),
    (re.compile(rb"\r\n%b: [^\r]*" % HEADER.encode()), b""),
    (re.compile(rb'\\?"[0-9a-f]{32}\\?"'), b'"etag"'),
)
"""What two answers to the same may differ in."""

_CHUNKED = re.compile(rb"(\r\nTransfer-Encoding: chunked\r\n(?:[^\r]+\r\n)*\r\n)(.*)", re.DOTALL)
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


class _Socket:
    """Of no family that aiohttp sets options of, and of no age."""

    family = socket.AF_UNIX

    def fileno(self) -> int:
        return 3

    def getsockopt(self, *_: int) -> bytes:
        raise OSError

    def setsockopt(self, *_: int) -> None:
        pass


class Connection(Written):
    """Of a client that takes all that is written at once, and sends what it is told to."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._extra = {"socket": _Socket(), "peername": ("127.0.0.1", 5)}
        self._protocol: asyncio.BaseProtocol = protocol
        self._is_read = True
        self._waiting = b""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._is_read = False

    def resume_reading(self) -> None:
        self._is_read = True
        asyncio.get_running_loop().call_soon(self._deliver)

    def close(self) -> None:
        if not self.is_closed:
            super().close()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        super().abort()
        self.close()

    def send(self, data: bytes) -> None:
        self._waiting += data
        self._deliver()

    def _deliver(self) -> None:
        if self._is_read and not self.is_closed and self._waiting:
            data, self._waiting = self._waiting, b""
            cast(asyncio.Protocol, self._protocol).data_received(data)

    def end(self) -> None:
        if not self.is_closed and not cast(asyncio.Protocol, self._protocol).eof_received():
            self.close()


class HttpSide:
    """Of one node. `connect` makes a connection on the short way, `connect_behind` one of aiohttp's from the start."""

    def __init__(self, front: FastPath, behind: Callable[[], JsonProtocol]) -> None:
        self._front = front
        self._behind = behind

    def connect(self) -> Connection:
        connection = Connection(self._front())
        cast(asyncio.Protocol, connection.get_protocol()).connection_made(connection)
        return connection

    def connect_behind(self, start: bytes) -> Connection:
        protocol = self._behind()
        connection = Connection(protocol)
        protocol.take_over(connection, start, is_all=False)
        return connection


class _FixedFile(SecretFile[Tokens]):
    """As if it had been read."""

    def __init__(self, text: str) -> None:
        self.now = parse_tokens(Line(number, line) for number, line in enumerate(text.splitlines(), 1))


@asynccontextmanager
async def http_side(has_tokens: bool = False, others: Mapping[Address, Answers] = NOBODY) -> AsyncIterator[HttpSide]:
    """`others`: what those answer who are in the view, too; where there are some, all parts of the node run."""
    loop = asyncio.get_running_loop()
    async with lone_owner(*others, runs=bool(others)) as lone:
        lone.peers.script.update(others)
        doors = Doors(_FixedFile(lines_for(read=READ, write=WRITE, admin=ADMIN))) if has_tokens else None
        tally, turns = Tally(), Turns(3600.0, lone.time.monotonic)
        admission = Admission(Limits(), lone.time.monotonic)
        requests = RequestLog(lone.time.monotonic, 1e6)
        node = lone.node
        data = DataApi(node.config, node.router)
        peers = Peers(node.config)
        peers.attach(node.clock, node)
        app = make_app(node, data, peers, turns, tally, requests, admission, doors)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        assert runner.server is not None
        staleness = Staleness(node.readiness, turns, lone.time.monotonic, 1e6)
        bounds = Bounds(admission, node.config.head_s, node.config.taking_s)
        settings = {"access_log": None, "auto_decompress": False, "keepalive_timeout": 60.0}
        behind = partial(JsonProtocol, runner.server, staleness, bounds, loop=loop, **settings)
        front = FastPath(data, staleness, behind, 60.0, DESCRIPTORS, tally, requests, admission, doors)
        try:
            yield HttpSide(front, behind)
        finally:
            await front.close()
            await runner.cleanup()
            turns.close()
            await peers.close()


async def answers(
    has_tokens: bool, pieces: Sequence[bytes], is_short: bool = True, others: Mapping[Address, Answers] = NOBODY
) -> bytes:
    """All that a new node answers to these bytes, which come one after the other, without what changes by itself."""
    async with http_side(has_tokens, others) as side:
        connection = side.connect() if is_short else side.connect_behind(pieces[0])
        for piece in pieces[not is_short :]:
            connection.send(piece)
            await asyncio.sleep(0.001)
        await asyncio.sleep(ANSWERED_S)
        connection.end()
        await asyncio.sleep(ANSWERED_S)
        told = connection.written + (b"\n(closed)" if connection.is_closed else b"\n(open)")
        connection.abort()
        await asyncio.sleep(0.1)
    told = _CHUNKED.sub(_unchunked, told)
    for pattern, plain in _CHANGING:
        told = pattern.sub(plain, told)
    return told


def _unchunked(found: re.Match[bytes]) -> bytes:
    """How an answer is cut into chunks depends on what else goes on."""
    body, rest = b"", found[2]
    while chunk := _CHUNK.match(rest):
        end = chunk.end() + int(chunk[1], 16)
        body, rest = body + rest[chunk.end() : end], rest[end + 2 :]
    return found[1] + body + _CHUNKED.sub(_unchunked, rest)
