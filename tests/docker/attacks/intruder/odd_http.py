"""Bytes that two programs may take for different requests, and paths that lead elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from tests.docker.attacks.intruder.wire import CANARY, PLANTED, Attempt, Got, Place, say, statuses_of

SEEN_S = 1.5
"""A connection that is kept open says no more."""
GET = f"GET /kvs/keys/{CANARY} HTTP/1.1\r\nHost: node\r\n\r\n".encode()
PUT = f"PUT /kvs/keys/{PLANTED} HTTP/1.1\r\nHost: node\r\n".encode()
LIVE = b"GET /livez HTTP/1.1\r\nHost: node\r\n"
OK_OF_OPEN = 1
"""Those that begin with `LIVE` are rightly let in once."""

FRAMING: Mapping[str, bytes] = {
    "length and chunks": PUT + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "chunks, spelt oddly": PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + GET,
    "chunks, twice": PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + GET,
    "two lengths": PUT + b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + GET,
    "a signed length": PUT + b"Content-Length: +10\r\n\r\n" + GET,
    "a negative length": PUT + b"Content-Length: -1\r\n\r\n" + GET,
    "a length of 2^64": PUT + b"Content-Length: 18446744073709551616\r\n\r\n" + GET,
    "a chunk of 2^64": PUT + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + GET,
    "a chunk with an extension that ends oddly": PUT + b"Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n" + GET,
    "lines that end with LF": GET.replace(b"\r\n", b"\n") * 2,
    "a folded header": b"GET /livez HTTP/1.1\r\nHost: node\r\nA: b\r\n Authorization: Bearer x\r\n\r\n" + GET,
    "a blank before the colon": PUT + b"Content-Length : 60\r\n\r\n" + GET,
    "a zero in a header": b"GET /kvs/keys/canary HTTP/1.1\r\nHost: no\0de\r\nA: \0\r\n\r\n",
    "no host, or two": b"GET /kvs/keys/canary HTTP/1.1\r\n\r\n" + GET.replace(b"\r\n\r\n", b"\r\nHost: x\r\n\r\n"),
    "an absolute URI": b"GET https://node/kvs/keys/canary HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "HTTP/0.9": b"GET /kvs/keys/canary\r\n\r\n",
    "HTTP/1.0, kept alive": b"GET /kvs/keys/canary HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
    "HTTP/9.9": GET.replace(b"1.1", b"9.9"),
    "CONNECT": b"CONNECT 10.10.0.5:13800 HTTP/1.1\r\nHost: 10.10.0.5:13800\r\n\r\n" + GET,
    "an upgrade to h2c": GET.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n"),
    "a WebSocket at a key": GET.replace(
        b"\r\n\r\n",
        b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    ),
    "a request in the body of one that is let in": LIVE + b"Content-Length: 0\r\n\r\n" + GET,
    "a request in the body of one, by chunks": LIVE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "a body that is asked for first": PUT + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    "a trailer with a token": PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer x\r\n\r\n" + GET,
}

PATHS = (
    *(
        "/ui/../kvs/keys/canary",
        "/ui/..%2fkvs%2fkeys%2fcanary",
        "/ui/%2e%2e/kvs/keys/canary",
        "/livez/../kvs/keys/canary",
    ),
    *("//kvs/keys/canary", "/./kvs/keys/canary", "/kvs//keys/canary", "/KVS/keys/canary", "/kvs%2fkeys%2fcanary"),
    *("/livez;/kvs/keys/canary", "/livez%3f/kvs/keys/canary", "/livez#/kvs/keys/canary", "/kvs/keys/canary%00"),
    *("/ui/../../../../etc/passwd", "/ui/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/ui//etc/passwd", "/ui/%00"),
    *("/ui/....//....//etc/passwd", "/ui/..%5c..%5cetc%5cpasswd", "/ui/%252e%252e%252fetc%252fpasswd"),
    *("/ui//run/secrets/secret", "/ui/../../run/secrets/tokens", "/ui/stream/../page.js", "/ui/copies%3fkey=canary"),
    *("/readyz/../metrics", "/ui/__init__.py", "/ui/page.py", "/proc/self/environ", "/kvs/keys/canary/../../status"),
)
SECRETS = (b"root:", b"ADDRESS=", b"-----BEGIN", b"import ")


def framed(name: str, sent: bytes) -> Attempt:
    async def make(place: Place) -> Got:
        reply = await say(place.nodes[0], sent, SEEN_S)
        statuses = statuses_of(reply.raw) or [reply.status] * (reply.status > 0)
        open_ones = OK_OF_OPEN if b" /livez " in sent else 0
        let_in = [status for status in statuses if status in (101, 200, 201)]
        return Got(", ".join(map(str, statuses)) or "broken off", reply.tells or len(let_in) > open_ones)

    return Attempt(f"two readings of one request: {name}", "4xx, or broken off", make)


async def elsewhere(place: Place) -> Got:
    found, statuses = [], []
    for path in PATHS:
        reply = await say(place.nodes[1], f"GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n".encode())
        statuses += statuses_of(reply.raw)
        is_open = path.startswith("/livez#")  # What comes after that is for browsers.
        if reply.tells or (reply.status == 200 and not is_open) or any(secret in reply.raw for secret in SECRETS):
            found.append(f"{path}: {reply.status}")
    return Got(f"{len(statuses)} answers: {sorted(set(statuses))} {'; '.join(found)}".strip(), bool(found))


ATTEMPTS = [
    *(framed(name, sent) for name, sent in FRAMING.items()),
    Attempt("paths that lead elsewhere", "401 or 404 each", elsewhere),
]
