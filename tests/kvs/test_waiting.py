"""Waiting for a key to change: what is asked, and what the answers mean."""

from __future__ import annotations

import pytest

import kvs
from tests.kvs.scripted import Scripted, served

SAME = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
NO_KEY = b'{"doesExist":false,"error":"Key does not exist","message":"Error in GET"}'
MISSING = b"HTTP/1.1 404 no\r\nContent-Length: %d\r\n\r\n%b" % (len(NO_KEY), NO_KEY)
BODY = b'{"doesExist":true,"message":"Retrieved successfully","value":2}'
FOUND = b'HTTP/1.1 200 OK\r\nETag: "2"\r\nContent-Length: %d\r\n\r\n%b' % (len(BODY), BODY)


async def test_a_change_is_awaited_for_as_long_as_is_asked() -> None:
    script = Scripted((SAME,), (SAME,), (FOUND,))
    async with served(script) as node, kvs.AsyncClient(node) as client:
        assert await client.await_change("k", '"1"', wait=30) == kvs.Found(b"2", '"2"')
    assert all(b"GET /kvs/keys/k?wait=1.500 HTTP/1.1\r\n" in request for request in script.requests[:3])
    assert all(b'If-None-Match: "1"\r\n' in request for request in script.requests[:3])


async def test_what_has_not_changed_is_told_so() -> None:
    script = Scripted(*[(SAME,)] * 1000)
    async with served(script) as node, kvs.AsyncClient(node) as client:
        assert await client.await_change("k", '"1"', wait=0.05) == kvs.Unchanged()


async def test_what_is_gone_is_a_change() -> None:
    async with served(Scripted((MISSING,))) as node, kvs.AsyncClient(node) as client:
        assert await client.await_change("k", '"1"') is None


async def test_what_is_not_there_is_awaited() -> None:
    script = Scripted((MISSING,), (FOUND,))
    async with served(script) as node, kvs.AsyncClient(node) as client:
        assert await client.await_change("k", None) == kvs.Found(b"2", '"2"')
    assert b"If-None-Match" not in script.requests[0]
    async with served(Scripted(*[(MISSING,)] * 1000)) as node, kvs.AsyncClient(node) as client:
        assert await client.await_change("k", None, wait=0.05) is None


@pytest.mark.parametrize(("version", "wait"), [("1", 1.0), ('"1"', 0.0), ('"1"', float("inf"))])
async def test_what_nobody_can_wait_for(version: str, wait: float) -> None:
    async with kvs.AsyncClient("127.0.0.1:9") as client:
        with pytest.raises(kvs.BadRequest):
            await client.await_change("k", version, wait=wait)
