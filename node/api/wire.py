"""An answer as bytes, where aiohttp does not carry it."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time

from aiohttp.http import SERVER_SOFTWARE

from node.api.answers import NOT_MODIFIED, HttpAnswer
from node.api.conditions import etag_of

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n".encode()
    for status in HTTPStatus
}


def as_sent(answer: HttpAnswer) -> bytes:
    """The bytes that aiohttp would send for it."""
    more = b""
    if answer.version is not None:
        more = b"ETag: %b\r\n" % etag_of(answer.version)
    if answer.headers:
        more += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items()).encode()
    if answer.status == NOT_MODIFIED:
        return b"HTTP/1.1 304 Not Modified\r\n%b%b" % (more, _date_and_server(int(time())))
    return b"%b%bContent-Length: %d\r\n%b%b" % (
        _STATUS_LINES[answer.status],
        more,
        len(answer.body),
        _date_and_server(int(time())),
        answer.body,
    )


@lru_cache(1)
def _date_and_server(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n".encode()
