"""The plain kind of request: whole, for one key, with headers that change nothing but what is named here.

Pure. What is not of this kind is no fault: somebody else reads it then.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from node.api.conditions import Given
from node.api.data import BODY_BYTES_MAX, KEYS

HEAD_BYTES_MAX = 4096
"""Longest head of a request that is taken here; also bounds each head that is remembered."""
HEADERS_MAX = 64
HEADS_KEPT = 1024
"""How many heads are remembered, since a client sends the same headers with each request."""

_KEY = rb"[A-Za-z0-9%._~!$&'()*+,;=:@\x80-\xff-]+"
"""Also with bytes beyond ASCII, which aiohttp does not take; `request_line` encodes those for it."""
_LINE = re.compile(rb"(GET|PUT|DELETE) %b(%b) HTTP/1\.1" % (re.escape(KEYS.encode()), _KEY))
_HEADER = re.compile(rb"([A-Za-z0-9-]+):[ \t]*([\x20-\x7e]*)")
_DIGITS = re.compile(rb"[0-9]{1,9}")
_UNUSUAL = {
    *(b"connection", b"content-encoding", b"expect", b"sec-websocket-key1", b"te", b"trailer", b"transfer-encoding"),
    *(b"upgrade", b"x-request-id", b"origin", b"sec-fetch-site"),
}
_CONDITIONS = (b"if-match", b"if-none-match")


class _Head(msgspec.Struct, frozen=True, gc=False):
    body_bytes: int
    given: Given
    authorization: bytes | None


class PlainRequest(msgspec.Struct, frozen=True, gc=False):
    method: str
    encoded_key: bytes
    body: bytes
    given: Given
    authorization: bytes | None
    end: int
    """Where the next request begins."""

    @property
    def path(self) -> str:
        return KEYS + self.encoded_key.decode(errors="surrogateescape")


def parse(data: bytes, start: int = 0) -> PlainRequest | None:
    """The request that begins at `start`; None if it is not whole, or not of the plain kind."""
    line_end = data.find(b"\r\n", start)
    head_end = data.find(b"\r\n\r\n", line_end, start + HEAD_BYTES_MAX) if line_end > 0 else -1
    if head_end < 0:
        return None
    line = _LINE.fullmatch(data, start, line_end)
    head = _parse_head(data[line_end:head_end])
    if line is None or head is None or len(data) < head_end + 4 + head.body_bytes:
        return None
    end = head_end + 4 + head.body_bytes
    return PlainRequest(line[1].decode(), line[2], data[head_end + 4 : end], head.given, head.authorization, end)


@lru_cache(HEADS_KEPT)
def _parse_head(head: bytes) -> _Head | None:
    """What these header lines say, each after its line break; None unless all are plain."""
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n")[1:]:
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower() in headers:
            return None
        headers[header[1].lower()] = header[2].strip()
    if headers.get(b"connection", b"").lower() == b"keep-alive":
        del headers[b"connection"]
    length = headers.get(b"content-length", b"0")
    if b"host" not in headers or len(headers) > HEADERS_MAX or not headers.keys().isdisjoint(_UNUSUAL):
        return None
    if not _DIGITS.fullmatch(length) or int(length) > BODY_BYTES_MAX:
        return None
    given = (headers.get(name) for name in _CONDITIONS)
    conditions = Given(*(None if text is None else text.decode() for text in given))
    return _Head(int(length), conditions, headers.get(b"authorization"))
