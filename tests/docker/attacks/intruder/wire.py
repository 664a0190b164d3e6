"""What an intruder has to talk to nodes with: sockets, TLS that believes anybody, and bytes.

Everything in this package runs in a container of its own beside the nodes, with nothing but the image and this source:
it must not import any other test.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ANSWER_S = 5.0
KEPT_BYTES = 1 << 20
"""Of what a node says; more is not looked at."""
CANARY, CANARY_VALUE = "canary", "what-nobody-outside-may-read"
PLANTED = "planted"
"""The key that intruders try to write."""


class Target(NamedTuple):
    host: str
    port: int
    tls: bool = True

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Place(NamedTuple):
    """What the intruder knows."""

    nodes: Sequence[Target]
    clear: Target
    """A node of another cluster, with the same tokens and a secret, but without TLS: what keeps strangers from its
    links is the secret alone."""
    me: str
    """Its own IP."""
    own: Path
    """A certificate of the intruder's own CA for that IP."""
    read_token: str
    """Of somebody inside, who may read, and nothing else."""


class Got(NamedTuple):
    """What came of an attempt."""

    seen: str
    has_succeeded: bool = False


class Attempt(NamedTuple):
    """Something that is over in seconds."""

    name: str
    expected: str
    make: Callable[[Place], Awaitable[Got]]


class Flood(NamedTuple):
    """Something that goes on for as long as is told, and says at the end what it got."""

    name: str
    expected: str
    make: Callable[[Place, float], Awaitable[Got]]


class Reply(NamedTuple):
    """`status`: 0: none came."""

    status: int
    raw: bytes

    @property
    def tells(self) -> bool:
        """Whether something of the store is in it."""
        return CANARY_VALUE.encode() in self.raw


def trusting() -> ssl.SSLContext:
    """Takes whatever certificate there is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


TRUSTING = trusting()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(target: Target, context: ssl.SSLContext | None = None) -> Streams:
    """Raises OSError and TimeoutError."""
    async with asyncio.timeout(ANSWER_S):
        tls = (context or TRUSTING) if target.tls else None
        return await asyncio.open_connection(target.host, target.port, ssl=tls, limit=KEPT_BYTES)


async def dial_bare(target: Target) -> Streams:
    """Without a word of TLS."""
    return await dial(target._replace(tls=False))


async def exchange(streams: Streams, sent: bytes, patience_s: float = ANSWER_S) -> bytes:
    """Send this, and take what comes until the end, or for so long."""
    reader, writer = streams
    heard = bytearray()
    try:
        writer.write(sent)
        async with asyncio.timeout(patience_s):
            await writer.drain()
            while len(heard) < KEPT_BYTES and (data := await reader.read(65536)):
                heard += data
    except (OSError, TimeoutError):
        pass  # What was heard until then is what it got.
    finally:
        writer.transport.abort()
    return bytes(heard)


Headers = Mapping[str, str] | Sequence[tuple[str, str]]


def head(method: str, path: str, headers: Headers = (), body: bytes = b"") -> bytes:
    """A whole request, its body included."""
    lines = list(headers.items() if isinstance(headers, Mapping) else headers)
    names = {name.lower() for name, _ in lines}
    lines += [] if "host" in names else [("Host", "node")]
    lines += [] if not body or "content-length" in names else [("Content-Length", str(len(body)))]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("utf-8", "surrogateescape") + body


async def say(target: Target, sent: bytes, patience_s: float = ANSWER_S) -> Reply:
    """Send this on a connection of its own; status 0 if there was no answer, or no connection."""
    try:
        heard = await exchange(await dial(target), sent, patience_s)
    except (OSError, TimeoutError):
        return Reply(0, b"")
    return Reply(status_of(heard), heard)


async def ask(
    target: Target,
    method: str,
    path: str,
    headers: Headers = (),
    body: bytes = b"",
    patience_s: float = ANSWER_S,
) -> Reply:
    lines = list(headers.items() if isinstance(headers, Mapping) else headers)
    return await say(target, head(method, path, [*lines, ("Connection", "close")], body), patience_s)


def status_of(heard: bytes) -> int:
    """Of an answer by HTTP; 0: it is none."""
    first = heard.split(b"\r\n", 1)[0].split(b" ")
    return int(first[1]) if len(first) > 1 and first[0].startswith(b"HTTP/") and first[1].isdigit() else 0


def statuses_of(heard: bytes) -> list[int]:
    """Of all answers on one connection."""
    return [status_of(b"HTTP/1.1 " + part) for part in heard.split(b"HTTP/1.1 ")[1:]]


def counted(statuses: Sequence[int]) -> str:
    """How often each: 401 x 30, nothing x 2."""
    told = {status: statuses.count(status) for status in sorted(set(statuses))}
    return ", ".join(f"{status or 'no answer'} x {times}" for status, times in told.items())
