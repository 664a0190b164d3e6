"""Watching keys: `async for event in client.watch(prefix)`.

One stream after the other: where one breaks, the next begins with the id of the last event, through another node, and
goes on from there if the store can. If not, or whenever something may have been missed, there is a `Gap`: whoever keeps
a copy lists anew then. What comes is read by `Events`, which is pure.

A stream is asked for by HTTP/1.0, so it comes as it is, and ends with its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from kvs.answers import refused
from kvs.asking import Asker
from kvs.endpoints import host_and_port
from kvs.errors import Unreachable
from kvs.http import HEAD_BYTES_MAX, Malformed, status_in
from kvs.responses import ErrorBody
from kvs.tls import reason_of
from kvs.values import Found, text_of

BEGIN = "the watch begins"
CONNECT_S = 3.0
"""For a connection, and for the node to begin to answer: it listens to all others first."""
SILENCE_S = 40.0
"""A node says something every 15 s."""
PAUSE_S = 0.2
_FAULTS = (OSError, ValueError, Malformed, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
"""Of a node, or on the way to it."""
LINE_BYTES_MAX = 8 * 1024 * 1024


class WasPut(msgspec.Struct, frozen=True, dict=True, tag="put"):
    """The key has this value."""

    key: str
    raw: bytes
    """The JSON text, as it was sent, but for line breaks in it."""
    version: str
    ttl: float | None = None
    """In how many seconds it expires; None: it stays."""

    @cached_property
    def value(self) -> Any:
        """What `json` makes of it. Raises what that does."""
        return Found(self.raw, self.version).value


class WasDeleted(msgspec.Struct, frozen=True, tag="delete"):
    """The key was deleted."""

    key: str
    version: str


class HasExpired(msgspec.Struct, frozen=True, tag="expire"):
    """The key's value has expired."""

    key: str
    version: str
    """That with which it was put."""


class Gap(msgspec.Struct, frozen=True, tag="gap"):
    """Something may have been missed, or this is the beginning: to know what there is, list it now."""

    why: str


Event: TypeAlias = WasPut | WasDeleted | HasExpired | Gap


class _Data(msgspec.Struct, frozen=True):
    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")
    etag: str = ""
    ttl: float | None = None
    why: str = ""


class Events:
    """What the lines of a stream say."""

    def __init__(self, last_id: str | None) -> None:
        self.last_id = last_id
        """To go on from; None: there is none."""
        self._kind = ""
        self._data = b""

    def line(self, line: bytes) -> Event | None:
        """`line`: without its end. Raises ValueError if it is none of a store's."""
        if line:
            name, _, value = line.partition(b": ")
            if name == b"id":
                self.last_id = value.decode()
            elif name == b"event":
                self._kind = value.decode()
            elif name == b"data":
                self._data = value
            return None
        kind, data, self._kind, self._data = self._kind, self._data, "", b""
        return _event(kind, data) if data else None


def _event(kind: str, data: bytes) -> Event | None:
    told = msgspec.json.decode(data, type=_Data)
    match kind:
        case "put":
            return WasPut(told.key, bytes(told.value), told.etag, told.ttl)
        case "delete":
            return WasDeleted(told.key, told.etag)
        case "expire":
            return HasExpired(told.key, told.etag)
        case "gap":
            return Gap(told.why)
    return None  # A later release may tell more.


async def watch(asker: Asker, prefix: str, timeout_s: float) -> AsyncGenerator[Event, None]:
    """What happens to the keys that begin with `prefix`. Raises KvsError."""
    path = f"/kvs/watch?prefix={quote(text_of(prefix, 'a prefix'), safe='')}"
    last_id: str | None = None
    while True:
        stream = await _opened(asker, path, last_id, timeout_s)
        events = Events(last_id)
        try:
            if last_id is None:
                yield Gap(BEGIN)  # Now that what happens from here on is told.
            async for event in stream.events(events):
                yield event
        finally:
            stream.close()
            last_id = events.last_id


class _Stream:
    def __init__(self, asker: Asker, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asker = asker
        self._node = node
        self._reader = reader
        self._writer = writer
        asker.streams.add(writer)

    async def events(self, events: Events) -> AsyncIterator[Event]:
        """Until it breaks."""
        with suppress(TimeoutError, *_FAULTS):
            while True:
                async with asyncio.timeout(SILENCE_S):
                    line = await self._reader.readuntil(b"\n")
                if (event := events.line(line.rstrip(b"\r\n"))) is not None:
                    yield event
        self._asker.nodes.failed(self._node)

    def close(self) -> None:
        self._asker.streams.discard(self._writer)
        self._writer.transport.abort()


async def _opened(asker: Asker, path: str, last_id: str | None, timeout_s: float) -> _Stream:
    """A stream that goes on from there, if there is anything to go on from. Raises KvsError."""
    loop = asyncio.get_running_loop()
    until, reasons = loop.time() + timeout_s, dict[str, str]()
    while True:
        asker.check_open()
        for node in _in_turn(asker):
            left_s = until - loop.time()
            if left_s <= 0:
                raise Unreachable(reasons)
            try:
                async with asyncio.timeout(min(left_s, CONNECT_S)):
                    stream = await _open(asker, node, path, last_id)
            except TimeoutError:
                reasons[node] = "it did not begin to answer in time"
            except _FAULTS as fault:
                reasons[node] = reason_of(fault) if isinstance(fault, OSError) else str(fault) or "the connection broke"
            else:
                asker.nodes.answered(node)
                return stream
            asker.nodes.failed(node)
            asker.check_open()
        if loop.time() + PAUSE_S >= until:
            raise Unreachable(reasons)
        await asyncio.sleep(PAUSE_S)


def _in_turn(asker: Asker) -> Iterator[str]:
    return asker.nodes.in_turn(None, reads=True)


async def _open(asker: Asker, node: str, path: str, last_id: str | None) -> _Stream:
    """Raises one of _FAULTS if this node cannot, and BadRequest."""
    host, port = host_and_port(node)
    tls, name = asker.tls, None if asker.tls is None else host
    reader, writer = await asyncio.open_connection(host, port, limit=LINE_BYTES_MAX, ssl=tls, server_hostname=name)
    try:
        since = {} if last_id is None else {"Last-Event-ID": last_id}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**asker.headers, **since}.items())
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {node}\r\n{lines}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n"))[:HEAD_BYTES_MAX]
        status = status_in(head)
        if status == 200 and b"text/event-stream" in head.lower():
            return _Stream(asker, node, reader, writer)
        body = msgspec.json.decode(await reader.read(HEAD_BYTES_MAX), type=ErrorBody)
        if 400 <= status < 500:
            raise refused(status, body.line)
        raise ValueError(body.line)
    except BaseException:
        writer.transport.abort()
        raise
