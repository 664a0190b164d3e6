"""Bytes that stand in a path as they are, as if they had been percent-encoded.

A URL has no letters beyond ASCII, and aiohttp refuses a request that has some; but whoever types one into `nc`, or uses
an old curl, sends the UTF-8 of it. `fastpath` takes these bytes as they are. For aiohttp they are encoded here, in what
may be a request line and nowhere else: never in a body.
"""

from __future__ import annotations

import re

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


class RequestLine:
    """Of one connection. `is_open`: what comes next belongs to a request line; or, at worst, to some other line of a
    head. In either case, a line ends before any body begins."""

    def __init__(self) -> None:
        self.is_open = True

    def encode(self, data: bytes) -> bytes:
        """`data`, with what is raw in the line percent-encoded."""
        if not self.is_open:
            return data
        end = data.find(b"\n") + 1
        self.is_open = not end
        line = data[: end or len(data)]
        if line.isascii():
            return data
        return _BEYOND_ASCII.sub(lambda raw: b"%%%02X" % raw[0][0], line) + data[len(line) :]
