"""Requests of who has no token, a wrong one, or one that may only read."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import secrets
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.docker.attacks.intruder.wire import (
    CANARY,
    PLANTED,
    Attempt,
    Got,
    Place,
    Reply,
    Target,
    ask,
    counted,
    dial,
    head,
)

VALUE = b'{"value":"planted"}'
REFUSED = frozenset({400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 426, 431, 501, 505, 0})
AT_ONCE = 16
PAIRS = 150
"""Of requests whose times are compared."""
TELLING_SHARE, TELLING_S = 0.2, 0.0005
"""A difference of medians that somebody could measure, and not the machine's noise: both of it."""


class Wanted(NamedTuple):
    method: str
    path: str
    body: bytes = b""


def wanted(place: Place) -> list[Wanted]:
    """All that there is to ask for."""
    view = json.dumps({"view": f"{place.me}:13800"}).encode()
    lines = b'{"op":"put","key":"planted","value":1}\n{"op":"get","key":"canary"}\n'
    reads = (
        *(
            f"/kvs/keys/{CANARY}",
            f"/kvs/keys/{CANARY}?wait=1",
            "/kvs/keys",
            "/kvs/keys?prefix=&values=true",
        ),
        *("/kvs/watch", "/kvs/export", "/kvs/status", "/kvs/node", "/kvs/ring", "/kvs/shards", "/kvs/shards/1"),
        *("/kvs/key-count", "/kvs/view-change", "/metrics", "/openapi.json", "/", "/kvs", "/ui/stream"),
        *(f"/ui/copies?key={CANARY}", "/kvs/nothing", "/debug", "/.git/config", "/kvs/keys/"),
    )
    changes = (
        Wanted("PUT", f"/kvs/keys/{PLANTED}", VALUE),
        Wanted("PUT", f"/kvs/keys/{CANARY}", VALUE),
        Wanted("DELETE", f"/kvs/keys/{CANARY}"),
        Wanted("POST", "/kvs/batch", lines),
        Wanted("PUT", "/kvs/view-change", view),
        Wanted("PUT", "/kvs/view-change?dry-run=true", view),
        Wanted("DELETE", "/kvs/view-change"),
        *(Wanted(method, f"/kvs/keys/{CANARY}", VALUE) for method in ("POST", "PATCH", "BREW", "TRACE", "OPTIONS")),
    )
    return [*(Wanted("GET", path) for path in reads), Wanted("HEAD", f"/kvs/keys/{CANARY}"), *changes]


async def ask_all(
    place: Place, wishes: Sequence[Wanted], headers: Sequence[tuple[str, str]], suffix: str = ""
) -> list[Reply]:
    """Each of another node, some at a time. `suffix`: of each path."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, wish: Wanted) -> Reply:
        node = place.nodes[number % len(place.nodes)]
        path = wish.path + (suffix and ("&" if "?" in wish.path else "?") + suffix)
        async with places:
            return await ask(node, wish.method, path, headers, wish.body)

    return await asyncio.gather(*(one(number, wish) for number, wish in enumerate(wishes)))


def judged(wishes: Sequence[Wanted], replies: Sequence[Reply], refused: frozenset[int] = REFUSED) -> Got:
    """Whoever gets anything else than a refusal, or any of the store, has succeeded."""
    let_in = [
        f"{wish.method} {wish.path}: {reply.status}"
        for wish, reply in zip(wishes, replies, strict=True)
        if reply.tells or reply.status not in refused
    ]
    seen = counted([reply.status for reply in replies])
    return Got(f"{seen}; let in: {'; '.join(let_in)}" if let_in else seen, bool(let_in))


def showing(name: str, headers: Sequence[tuple[str, str]], suffix: str = "") -> Attempt:
    async def make(place: Place) -> Got:
        wishes = wanted(place)
        return judged(wishes, await ask_all(place, wishes, headers, suffix))

    return Attempt(f"every route, {name}", "401 each", make)


def credentials() -> list[Attempt]:
    unknown = secrets.token_urlsafe(32)
    hashed = hashlib.sha256(unknown.encode()).hexdigest()
    forged = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "Forwarded": "for=127.0.0.1;host=127.0.0.1",
        "X-Original-URL": "/livez",
        "X-Rewrite-URL": "/livez",
        "X-HTTP-Method-Override": "GET",
        "Kvs-Secret": "yes",
        "Kvs-Cluster": "kvs",
        "Kvs-Protocols": "2",
        "Kvs-Proof": "00" * 32,
        "Kvs-Copies": "1/1",
        "Kvs-Detail": "role=admin",
        "Kvs-TLS": "required",
    }
    shown = {
        "without a token": [],
        "a token that nobody made": [("Authorization", f"Bearer {unknown}")],
        "a hash in place of a token": [("Authorization", f"Bearer {hashed}")],
        "an empty token": [("Authorization", "Bearer ")],
        "no scheme": [("Authorization", unknown)],
        "by Basic": [("Authorization", "Basic YWRtaW46YWRtaW4=")],
        "two tokens": [("Authorization", f"Bearer {unknown}"), ("Authorization", "Bearer admin")],
        "a token of 8,000 characters": [("Authorization", f"Bearer {'a' * 8000}")],
        "a token of no text": [("Authorization", "Bearer \udcff\udcfe\udc80")],
        "a cookie": [("Cookie", f"token={unknown}; role=admin")],
        "headers of proxies and of nodes, forged": list(forged.items()),
        "the host of loopback": [("Host", "127.0.0.1:13800")],
        "a foreign page, and its host rebound": [("Origin", "https://evil.example"), ("Host", "evil.example")],
        "a page that says it is the node's": [("Origin", "https://node"), ("Sec-Fetch-Site", "same-origin")],
        "a forged event id and tag": [("Last-Event-ID", "1-1-1"), ("If-Match", "*"), ("If-None-Match", '"0"')],
        "a range": [("Range", "bytes=0-100"), ("Accept", "*/*")],
    }
    by_query = showing("a token in the query", [], f"token={unknown}&access_token={unknown}")
    return [*(showing(name, headers) for name, headers in shown.items()), by_query]


async def escalate(place: Place) -> Got:
    """Whoever may only read tries to change: by what is not for it, and by what others take for another method."""
    wishes = [wish for wish in wanted(place) if wish.method in ("PUT", "DELETE", "POST", "PATCH", "BREW")]
    token = ("Authorization", f"Bearer {place.read_token}")
    tricks: list[list[tuple[str, str]]] = [
        [],
        [("X-HTTP-Method-Override", "PUT"), ("X-Method-Override", "PUT")],
        [("Authorization", "Bearer admin")],
    ]
    got = [judged(wishes, await ask_all(place, wishes, [token, *trick])) for trick in tricks]
    return Got("; ".join(each.seen for each in got), any(each.has_succeeded for each in got))


async def forge_cursors(place: Place) -> Got:
    """Of one who may read: what is not of this store must not end in an error of the node."""
    token = ("Authorization", f"Bearer {place.read_token}")
    paths = [
        *(
            "/kvs/keys?after=%ff%fe",
            "/kvs/keys?after=%00",
            "/kvs/keys?limit=99999999999999999",
            "/kvs/keys?limit=-1",
        ),
        *("/kvs/export?after=AAAA", "/kvs/export?cursor=AAAA", "/kvs/shards/-1", "/kvs/shards/999999999999999999999"),
        *("/ui/copies?key=%ff", "/kvs/keys/%ff", f"/kvs/keys/{CANARY}?wait=1e308", f"/kvs/keys/{CANARY}?wait=nan"),
    ]
    asked = [
        ask(place.nodes[0], "GET", path, [token, ("Last-Event-ID", "99999999999999999999-x")], patience_s=2)
        for path in paths
    ]
    watched = ask(place.nodes[0], "GET", "/kvs/watch", [token, ("Last-Event-ID", "9" * 4000)], patience_s=2)
    replies = await asyncio.gather(*asked, watched)
    return Got(counted([reply.status for reply in replies]), any(reply.status >= 500 for reply in replies))


async def bomb(place: Place) -> Got:
    """Little that would become much, if anybody unpacked it."""
    packed = gzip.compress(bytes(64 << 20))
    headers = [("Content-Encoding", "gzip")]
    replies = [
        await ask(node, method, path, headers, packed)
        for node in place.nodes
        for method, path in (("PUT", f"/kvs/keys/{PLANTED}"), ("POST", "/kvs/batch"), ("PUT", "/kvs/view-change"))
    ]
    return Got(counted([reply.status for reply in replies]), any(reply.status not in REFUSED for reply in replies))


async def differing_s(target: Target, one: bytes, other: bytes) -> tuple[float, float]:
    """The medians of two requests, on one connection, in turn."""
    reader, writer = await dial(target)
    took: tuple[list[float], list[float]] = [], []
    try:
        for _ in range(PAIRS):
            for request, times in zip((one, other), took, strict=True):
                began = time.perf_counter()
                writer.write(request)
                answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
                length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await asyncio.wait_for(reader.readexactly(int(length or b"0")), 5)
                times.append(time.perf_counter() - began)
    finally:
        writer.transport.abort()
    return statistics.median(took[0]), statistics.median(took[1])


def timed(what: str, one: bytes, other: bytes) -> Attempt:
    async def make(place: Place) -> Got:
        try:
            first, second = await differing_s(place.nodes[0], one, other)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            return Got(f"broken off: {error!r}")
        apart = abs(first - second)
        tells = apart > TELLING_S and apart > TELLING_SHARE * min(first, second)
        return Got(f"medians {1e6 * first:.0f} and {1e6 * second:.0f} us of {PAIRS}", tells)

    return Attempt(f"by the time it takes: {what}", "no difference that tells", make)


def timings() -> list[Attempt]:
    def get(key: str, token: str) -> bytes:
        return head("GET", f"/kvs/keys/{key}", {"Authorization": f"Bearer {token}"} if token else {})

    return [
        timed("is there such a key?", get(CANARY, "x" * 43), get("no-such-key", "x" * 43)),
        timed("does a token begin rightly?", get(CANARY, "a-token-that-rules-"), get(CANARY, "z-nothing-like-that")),
        timed("is there such a key, without a token?", get(CANARY, ""), get("no-such-key", "")),
    ]


ATTEMPTS = [
    *credentials(),
    Attempt("with a token for read: change something", "403 or 405 each", escalate),
    Attempt("with a token for read: forged cursors, ids and numbers", "no 5xx", forge_cursors),
    Attempt("64 MiB in 64 KiB by Content-Encoding, without a token", "401 each", bomb),
    *timings(),
]
