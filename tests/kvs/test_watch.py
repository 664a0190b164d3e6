"""Watching keys: what the lines of a stream say, and what follows when one breaks."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

import kvs
from kvs.watch import BEGIN, Events
from tests.kvs.scripted import END, Scripted, served
from tests.kvs.streams import DELETE, HEAD, PUT


def read(*lines: bytes) -> tuple[list[object], str | None]:
    events = Events(None)
    found = [events.line(line) for line in b"".join(lines).split(b"\n")[:-1]]
    return [event for event in found if event is not None], events.last_id


def test_lines_are_events() -> None:
    expire = b'id: 9\nevent: expire\ndata: {"key":"k","etag":"\\"a\\""}\n\n'
    gap = b'id: 10\nevent: gap\ndata: {"why":"w"}\n\n'
    found, last_id = read(PUT, DELETE, expire, gap)
    assert found == [
        kvs.WasPut("k", b"[1, 2]", '"a"', 1.5),
        kvs.WasDeleted("k", '"b"'),
        kvs.HasExpired("k", '"a"'),
        kvs.Gap("w"),
    ]
    assert last_id == "10"
    assert isinstance(found[0], kvs.WasPut) and found[0].value == [1, 2]


def test_lines_that_are_no_events_may_tell_where_to_go_on_from() -> None:
    assert read(b"id: 3\n: still watching\n\n", b"event: later\ndata: {}\n\n") == ([], "3")


async def events_of(endpoints: str, count: int, token: str | None = None) -> list[Any]:
    found = []
    async with (
        kvs.AsyncClient(endpoints, timeout_s=2, token=token) as client,
        aclosing(client.watch("a b")) as watching,
    ):
        async for event in watching:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_watch_goes_on_after_the_last_event_when_a_stream_breaks() -> None:
    script = Scripted((HEAD + PUT, END), (HEAD, DELETE))
    async with served(script) as node:
        found = await events_of(node, 3, token="t1")
    assert found == [kvs.Gap(BEGIN), kvs.WasPut("k", b"[1, 2]", '"a"', 1.5), kvs.WasDeleted("k", '"b"')]
    first, second = script.requests
    assert first.startswith(b"GET /kvs/watch?prefix=a%20b HTTP/1.0\r\n") and b"Last-Event-ID" not in first
    assert b"\r\nLast-Event-ID: 7\r\n" in second
    assert all(b"\r\nAuthorization: Bearer t1\r\n" in request for request in script.requests)


async def test_watch_begins_once_the_node_tells_what_happens() -> None:
    """Or what happens between the list that is made then and the stream would be missed."""
    script = Scripted((HEAD,))
    script.proceed.clear()
    async with served(script) as node, kvs.AsyncClient(node) as client, aclosing(client.watch()) as watching:
        first = asyncio.ensure_future(anext(watching))
        while not script.requests:
            await asyncio.sleep(0)
        assert not first.done()
        script.proceed.set()
        assert await first == kvs.Gap(BEGIN)


async def test_watch_asks_the_next_node_where_one_cannot() -> None:
    refusal = b'HTTP/1.0 503 no\r\n\r\n{"error":"Unable to satisfy request","message":"m"}'
    async with served(Scripted((refusal, END))) as one, served(Scripted((HEAD + DELETE,))) as other:
        assert await events_of(f"{one},{other}", 2) == [kvs.Gap(BEGIN), kvs.WasDeleted("k", '"b"')]


async def test_watch_that_nobody_answers_ends() -> None:
    refusal = b'HTTP/1.0 503 no\r\n\r\n{"error":"Unable to satisfy request","message":"m"}'
    async with served(Scripted(*[(refusal, END)] * 20)) as node:
        with pytest.raises(kvs.Unreachable, match="Unable to satisfy request"):
            await events_of(node, 2)


async def test_watch_that_is_refused_is_refused() -> None:
    refusal = b'HTTP/1.0 400 no\r\n\r\n{"error":"Malformed prefix","message":"m"}'
    async with served(Scripted((refusal, END))) as node:
        with pytest.raises(kvs.BadRequest, match="Malformed prefix"):
            await events_of(node, 2)


@pytest.mark.parametrize("status", [401, 403])
async def test_watch_that_is_not_allowed_is_not(status: int) -> None:
    refusal = b'HTTP/1.0 %d no\r\n\r\n{"error":"Token is unknown","message":"m"}' % status
    async with served(Scripted((refusal, END))) as node:
        with pytest.raises(kvs.NotAllowed, match="Token is unknown"):
            await events_of(node, 2, token="t2")


async def test_watch_of_what_is_no_store_finds_nobody() -> None:
    async with served(Scripted(*[(b"SSH-2.0-nonsense\r\n\r\n", END)] * 20)) as node:
        with pytest.raises(kvs.Unreachable):
            await events_of(node, 2)


async def test_watch_ends_with_its_client() -> None:
    async with served(Scripted((HEAD + PUT,))) as node:
        client = kvs.AsyncClient(node)
        watching = client.watch()
        assert [await anext(watching), (await anext(watching))] == [kvs.Gap(BEGIN), read(PUT)[0][0]]
        await client.close()
        with pytest.raises(kvs.Misuse):
            await anext(watching)


def test_watch_refuses_what_is_no_prefix() -> None:
    with kvs.Client("127.0.0.1:9") as client, pytest.raises(kvs.BadRequest):
        list(client.watch(7))  # type: ignore[arg-type]
