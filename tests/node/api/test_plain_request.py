"""Which bytes are one whole, plain request for a key."""

from __future__ import annotations

import pytest

from node.api.data import BODY_BYTES_MAX
from node.api.plain_request import HEAD_BYTES_MAX, HEADERS_MAX, parse
from tests.node.api.short_way import PLAIN


@pytest.mark.parametrize(
    "request_",
    [
        b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT /kvs/keys/a HTTP/1.1\r\nhost:x\r\ncontent-length:3\r\nConnection: keep-alive\r\nX-Y: \t z \r\n\r\nabc",
        b"DELETE /kvs/keys/%2F%C3%A9;=a+b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /kvs/keys/caf\xc3\xa9\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        PLAIN,
    ],
)
def test_plain_request_is_parsed(request_: bytes) -> None:
    parsed = parse(request_ + b"GET ")
    assert parsed is not None
    assert parsed.end == len(request_)
    assert request_.endswith(b"\r\n\r\n" + parsed.body)


@pytest.mark.parametrize(
    "request_",
    [
        *(PLAIN[:length] for length in range(len(PLAIN))),
        *(b"HEAD" + PLAIN[3:], b"get" + PLAIN[3:], PLAIN.replace(b"1.1", b"1.0"), b"\r\n" + PLAIN),
        *(PLAIN.replace(b"/a ", path) for path in (b"/ ", b"/a/b ", b"/a?x ", b"/a#x ", b"/a b ", b"/\0 ")),
        *(PLAIN.replace(b"/kvs", path) for path in (b"//kvs", b"/KVS", b"http://x/kvs")),
        *(
            PLAIN.replace(b"Host: x", b"Host: x\r\n" + header)
            for header in (
                *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"Upgrade: websocket"),
                *(b"Origin: http://y", b"Sec-Fetch-Site: cross-site"),
                *(b"Connection: upgrade", b"Content-Encoding: gzip", b"Content-Length: -1", b"Content-Length: 1, 1"),
                *(
                    b"Content-Length: 0\r\nContent-Length: 0",
                    b"Content-Length: +1",
                    b"Content-Length: 0x1",
                    b"Content-Length:",
                ),
                *(
                    b"A : x",
                    b" A: x",
                    b"A: x\r\n folded",
                    b"A: x\ny: z",
                    b"A: x\ry",
                    b"A",
                    b": x",
                    b"A: \xff",
                    b"A: x\r\na: y",
                ),
                *(b"Host: x", b"X: " + b"x" * HEAD_BYTES_MAX, b"Content-Length: %d" % (BODY_BYTES_MAX + 1)),
            )
        ),
        PLAIN.replace(b"Host: x", b"A: x"),
        PLAIN.replace(b"Host: x", b"\r\n".join([b"Host: x", *(b"A%d:" % number for number in range(HEADERS_MAX))])),
        b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab",
    ],
)
def test_plain_request_anything_else_is_left(request_: bytes) -> None:
    assert parse(request_) is None
