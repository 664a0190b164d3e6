"""One connection: an answer in however many parts, and what is said of one that does not come."""

from __future__ import annotations

import asyncio
import socket

import pytest

from kvs.connection import Connection, connect
from kvs.http import Reply
from kvs.names import Names
from kvs.repeating import Failed
from tests.kvs.command import NOWHERE
from tests.kvs.scripted import CUT, END, Scripted, served

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


async def connected(node: str, within_s: float = 1.0) -> Connection:
    return await connect(node, Names(1.0), within_s)


async def ask(connection: Connection, within_s: float | None = 5.0) -> Reply:
    until = None if within_s is None else asyncio.get_running_loop().time() + within_s
    return await connection.ask(REQUEST, until, within_s)


@pytest.mark.parametrize(
    "parts", [(OK,), (OK[:3], OK[3:]), (OK[:20], OK[20:40], OK[40:]), tuple(bytes([byte]) for byte in OK)]
)
async def test_connection_answer_comes_in_any_parts_one_after_the_other(parts: tuple[bytes, ...]) -> None:
    async with served(Scripted(parts, parts)) as node:
        connection = await connected(node)
        for _ in range(2):
            assert (await ask(connection)).body == b"null"
        assert connection.is_open
        connection.abort("")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((CUT,), "the connection broke"),
        ((END,), "the connection broke"),
        ((OK[:30], END), "the connection broke"),
        ((b"SSH-2.0\r\n",), "its answer is not that of a store"),
        ((b"HTTP/1.1 404 No\r\n\r\n",), "its answer, of status 404, is not that of a store"),
        ((OK + b"more",), "its answer, of status 200, is not that of a store"),
    ],
)
async def test_connection_without_an_answer_may_have_had_it_executed(parts: tuple[bytes, ...], reason: str) -> None:
    async with served(Scripted(parts)) as node:
        connection = await connected(node)
        with pytest.raises(Failed, match=reason) as failure:
            await ask(connection)
        assert failure.value.sent
        assert not connection.is_open


async def test_connection_that_is_silent_is_cut_off() -> None:
    script = Scripted((OK,))
    script.proceed.clear()
    async with served(script) as node:
        connection = await connected(node)
        with pytest.raises(Failed, match=r"no answer within 0\.05 s") as failure:
            await ask(connection, 0.05)
        assert failure.value.sent
        assert not connection.is_open


async def test_connection_whose_caller_goes_away_is_cut_off() -> None:
    """Or the answer would be taken for that to the next request."""
    script = Scripted((OK,), (OK,))
    script.proceed.clear()
    async with served(script) as node:
        connection = await connected(node)
        call = asyncio.create_task(ask(connection, None))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not connection.is_open


async def test_connection_on_which_something_comes_that_nobody_asked_for_is_cut_off() -> None:
    async with served(Scripted((OK, OK))) as node:
        connection = await connected(node)
        assert (await ask(connection)).body == b"null"
        await asyncio.sleep(0.1)
        assert not connection.is_open


async def test_connection_after_its_last_answer_is_closed() -> None:
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with served(Scripted((last,))) as node:
        connection = await connected(node)
        assert (await ask(connection)).body == b"null"
        assert not connection.is_open


async def test_connection_that_is_refused_has_executed_nothing() -> None:
    with pytest.raises(Failed, match="connection refused") as failure:
        await connected(NOWHERE)
    assert not failure.value.sent


async def test_connection_that_does_not_come_about_in_time_has_executed_nothing() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (first, second):  # The backlog is full; no further connection is taken.
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        with pytest.raises(Failed, match=r"no connection within 0\.2 s") as failure:
            await connected(f"127.0.0.1:{full.getsockname()[1]}", 0.2)
    assert not failure.value.sent


async def test_connection_tries_all_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(_self: Names, _host: str) -> tuple[str, ...]:
        return ("127.0.0.77", "127.0.0.1")

    monkeypatch.setattr(Names, "addresses", two)
    async with served(Scripted((OK,))) as node:
        connection = await connected(f"name:{node.rpartition(':')[2]}")
        assert (await ask(connection)).body == b"null"
        connection.abort("")
