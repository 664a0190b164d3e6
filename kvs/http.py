"""HTTP/1.1 as far as a client of the store needs it: one request as bytes, and its answer out of the bytes that come.

Pure. An answer has a `Content-Length`, as all of a node's have but those that stream, see `kvs.streamed`; any other is
not that of a store, and is refused rather than guessed at. Each answer is bounded, or a stranger that sends without end
would fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

NO_HEADERS: Mapping[str, str] = {}
HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 32 * 1024 * 1024
"""The longest answer of a store is a page of a listing, of 8 MiB."""

NOT_MODIFIED = 304
"""The answer that never has a body, whatever length it tells."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])[ \r]")
_DIGITS = re.compile(rb"[0-9]{1,9}")


class Malformed(Exception):
    """What came is no answer of a store."""

    def __init__(self, status: int | None = None) -> None:
        of_status = "" if status is None else f", of status {status},"
        super().__init__(f"its answer{of_status} is not that of a store")


class Reply(NamedTuple):
    status: int
    head: bytes
    """The header lines, each after its line break."""
    body: bytes

    def header(self, name: str) -> str | None:
        """`name` in lower case."""
        return _header(self.head, name.encode())

    @property
    def is_last(self) -> bool:
        """Whether no other request may follow on the connection."""
        return (self.header("connection") or "").lower() == "close"


class Missing(NamedTuple):
    """The answer has not come as a whole."""

    bytes_needed: int
    """So many in all, at least."""


def request(node: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """`path`: percent-encoded."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) if headers else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: {node}\r\nContent-Type: application/json\r\n{more}"
    if body is None:
        return f"{head}\r\n".encode()
    return b"%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


def reply_in(data: bytes | bytearray) -> Reply | Missing:
    """The one answer that `data` is, or the begin of. Raises Malformed."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_BYTES_MAX or not b"HTTP/1.".startswith(data[:7]):
            raise Malformed
        return Missing(len(data) + 1)
    reply = head_in(data, end)
    whole = end + 4 + body_bytes(reply)
    if len(data) < whole:
        return Missing(whole)
    if len(data) > whole:
        raise Malformed(reply.status)
    return reply._replace(body=bytes(data[end + 4 :]))


def head_in(data: bytes | bytearray, end: int) -> Reply:
    """The status and the headers, which end where the empty line begins. Raises Malformed."""
    return Reply(status_in(data), bytes(data[data.find(b"\r\n") : end]), b"")


def status_in(data: bytes | bytearray) -> int:
    """Raises Malformed."""
    status = _STATUS.match(data)
    if status is None:
        raise Malformed
    return int(status[1])


def body_bytes(reply: Reply) -> int:
    """As many as the head says. Raises Malformed."""
    if reply.status == NOT_MODIFIED:
        return 0
    length = _header(reply.head, b"content-length")
    if length is None or _DIGITS.fullmatch(length.encode()) is None or int(length) > BODY_BYTES_MAX:
        raise Malformed(reply.status)
    return int(length)


def _header(head: bytes, name: bytes) -> str | None:
    start = head.lower().find(b"\r\n%b:" % name)
    if start < 0:
        return None
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip().decode("latin-1")
