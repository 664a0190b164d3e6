"""What arrives at the port: the short way in answers it as aiohttp does, however it is cut; and of what is a whole
request, it thinks as another parser does, by another author and with another history: `httptools`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from random import Random

import httptools
import xxhash

from node.api.plain_request import PlainRequest, parse
from node.api.request_line import RequestLine
from node.net.handshake import PATH
from tests.fuzz.http_side import answers
from tests.fuzz.quiet import on_virtual_time
from tests.fuzz.target import Target
from tests.node.tokens import ADMIN, READ, WRITE

_LINK = b"GET %b?" % PATH.encode()
_LAST_IS_REFUSED = re.compile(
    rb'HTTP/1\.[01] 4[0-9][0-9] [^{]*\{"error":"[^"]*","message":"Error in [A-Z]+"\}\n\(closed\)\Z'
)
"""How all that is told ends if it ended with bytes that make no sense."""


def check(data: bytes, has_tokens: bool) -> None:
    whole = on_virtual_time(answers(has_tokens, [data]))
    if _LINK in data:
        return  # Whether that is one depends on what was looked at together with it.
    rng = Random(xxhash.xxh3_64_intdigest(data))
    in_pieces = on_virtual_time(answers(has_tokens, pieces_of(data, rng)))
    assert agree(whole, in_pieces), f"whole: {whole!r}, in pieces: {in_pieces!r}"
    requests = plain_requests(data)
    cut = [data[start:stop] for start, stop in cuts_behind(requests, len(data))]
    behind = on_virtual_time(answers(has_tokens, cut, is_short=False))
    assert whole == behind, f"the short way: {whole!r}, aiohttp: {behind!r}"
    start = 0
    for request in requests:
        check_opinion(data[start : request.end], request)
        start = request.end


def pieces_of(data: bytes, rng: Random) -> list[bytes]:
    at = sorted({0, len(data), *(rng.randint(0, len(data)) for _ in range(rng.randint(1, 4)))})
    return [data[start:stop] for start, stop in pairwise(at)] or [b""]


def plain_requests(data: bytes) -> list[PlainRequest]:
    """Those that the short way in takes."""
    found: list[PlainRequest] = []
    while request := parse(data, found[-1].end if found else 0):
        found.append(request)
    return found


def cuts_behind(requests: Sequence[PlainRequest], length: int) -> list[tuple[int, int]]:
    """So that nothing arrives together with bytes that make no sense."""
    at = sorted({0, length, *(request.end for request in requests)})
    return list(pairwise(at)) or [(0, 0)]


def agree(one: bytes, other: bytes) -> bool:
    """Whether both tell the same. But aiohttp takes nothing of what arrives together with bytes that make no sense; nor
    does it know a letter in a path that stands there as it is, and came with the end of the body before it."""
    if one == other:
        return True
    short, long = sorted((one, other), key=lambda told: len(_LAST_IS_REFUSED.sub(b"", told)))
    end = _LAST_IS_REFUSED.search(short)
    return end is not None and long.startswith(short[: end.start()])


class Heard:
    """What httptools makes of one request."""

    def __init__(self, data: bytes) -> None:
        self.url = self.body = b""
        self.headers: dict[bytes, bytes] = {}
        self.whole = 0
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(data)
        self.method = self._parser.get_method()
        self.stays_open = self._parser.should_keep_alive()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


def check_opinion(data: bytes, request: PlainRequest) -> None:
    """`request`: what the short way in has made of just these bytes, in which letters may stand as they are."""
    heard = Heard(RequestLine().encode(data))
    path = RequestLine().encode(request.path.encode(errors="surrogateescape"))
    told = (heard.whole, heard.method, heard.url, heard.body, heard.stays_open)
    assert told == (1, request.method.encode(), path, request.body, True), f"{told} for {request}"
    given = [heard.headers.get(name) for name in (b"if-match", b"if-none-match", b"authorization")]
    ours = [None if text is None else text.encode() for text in request.given]
    assert given == [*ours, request.authorization], f"{given} for {request}"


_JSON = b'{"value":{"a":[1,2.5,null]}}'
_TTL = b'{"value":"v","ttl":30,"causal-context":{}}'


def request(line: bytes, body: bytes | None = None, *headers: bytes) -> bytes:
    told = [line + b" HTTP/1.1", b"Host: x", *headers]
    if body is not None:
        told.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*told, b"", body or b""])


PLAIN = (
    request(b"PUT /kvs/keys/a", _JSON) + request(b"GET /kvs/keys/a"),
    request(b"PUT /kvs/keys/%2Fcaf%C3%A9", _TTL) + request(b"DELETE /kvs/keys/%2fcaf\xc3\xa9", b"{}"),
    request(b"PUT /kvs/keys/a", _JSON, b"If-None-Match: *", b"Connection: keep-alive", b"Accept: */*"),
    request(b"GET /kvs/keys/a", None, b'If-Match: "00112233445566778899aabbccddeeff", W/"x"'),
    request(b"DELETE /kvs/keys/a", b'{"causal-context":{"v":1,"k":{"%b":"%b"}}}' % (b"0" * 16, b"0" * 48)),
)
OTHER = (
    request(b"HEAD /kvs/keys/a") + request(b"OPTIONS /kvs/keys/a"),
    request(b"GET /kvs/keys/a?wait=1", None, b'If-None-Match: "00112233445566778899aabbccddeeff"'),
    request(b"GET /kvs/keys?prefix=a&after=%C3%A9&limit=10&values=true"),
    request(b"POST /kvs/batch", b'{"op":"put","key":"k","value":1}\n{"op":"get","key":"k"}\n{"op":"delete","key":""}'),
    request(b"GET /kvs/key-count") + request(b"GET /kvs/shards") + request(b"GET /kvs/shards/1"),
    request(b"PUT /kvs/view-change", b'{"view":"a:1","repl-factor":1,"if-epoch":0,"if-safe":true}'),
    request(b"PUT /kvs/view-change?wait=false&dry-run=true", b'{"view":"a:1,a:1,,x"}'),
    request(b"DELETE /kvs/view-change") + request(b"GET /kvs/view-change") + request(b"GET /kvs/ring"),
    request(b"GET /kvs/watch?prefix=a", None, b"Last-Event-ID: 1-2"),
    request(b"GET /kvs/export?prefix=a&cursor=AQ"),
    request(b"GET /livez") + request(b"GET /readyz?verbose") + request(b"GET /ui") + request(b"GET /"),
    request(b"PUT /kvs/keys/a", None, b"Transfer-Encoding: chunked") + b"b\r\n%b\r\n0\r\n\r\n" % b'{"value":1}',
    request(b"PUT /kvs/keys/a", _JSON, b"Expect: 100-continue"),
    request(b"PUT /kvs/keys/a", _JSON, b"Content-Encoding: gzip", b"X-Request-Id: abc", b"Origin: http://y"),
    request(b"GET /peer?from=b:1&to=a:1&cluster=kvs", None, b"Connection: Upgrade", b"Upgrade: websocket")
    + request(b"GET /kvs/keys/a", None, b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Sec-WebSocket-Version: 13"),
    b"GET /kvs/keys/a HTTP/1.0\r\n\r\n",
)
WORDS = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"%", b"%2F", b"%00", b"%ff", b"\xc3\xa9"),
    *(b"GET ", b"PUT ", b"DELETE ", b"HEAD ", b"POST ", b"CONNECT ", b"/kvs/keys/", b"http://x", b"//", b"?", b"#"),
    *(
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"Host: y\r\n",
        b"Host:\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
    ),
    *(b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: 00\r\n", b"Content-Length: +1\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Expect: 100-continue\r\n"),
    *(b"If-Match: *\r\n", b"If-None-Match: *\r\n", b'If-Match: "a"\r\n', b"TE: trailers\r\n", b"Upgrade: h2c\r\n"),
    *(b"Content-Encoding: gzip\r\n", b"Cookie: a=b\r\n", b"Range: bytes=0-1\r\n", b"Content-Type: a/b\r\n", b"X: \r\n"),
    *(b'{"value":1}', b'"ttl":1e3', b'"causal-context":{}', b"null", b"1e999", b'"\\ud800"', b"[" * 40),
    *(b"Authorization: Bearer %b\r\n" % token.encode() for token in (READ, WRITE, ADMIN)),
)


def authorized(requests: Sequence[bytes], token: str) -> list[bytes]:
    line = b"Host: x\r\nAuthorization: Bearer %b\r\n" % token.encode()
    return [each.replace(b"Host: x\r\n", line) for each in requests]


HTTP = Target("http", partial(check, has_tokens=False), (*PLAIN, *OTHER), WORDS, share=3, examples=40)
HTTP_TOKENS = Target(
    "http-tokens",
    partial(check, has_tokens=True),
    (*PLAIN, *authorized(PLAIN, READ), *authorized(PLAIN, WRITE), *authorized(OTHER, ADMIN)),
    WORDS,
    examples=20,
)
