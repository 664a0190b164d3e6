"""The connections of a client: kept and used again, never more than their bound, none that is about to end."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from kvs import connections as module
from kvs.connections import CLOSED, Connections
from kvs.http import Reply
from kvs.repeating import Failed
from tests.kvs.scripted import Scripted, served

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
MANY = tuple((OK,) for _ in range(1000))


async def ask(connections: Connections, node: str, within_s: float | None = 5.0, *, once: bool = False) -> Reply:
    return await connections.ask(node, REQUEST, within_s, once=once)


async def test_connections_are_used_again() -> None:
    script, connections = Scripted(*MANY), Connections()
    async with served(script) as node:
        for _ in range(10):
            assert (await ask(connections, node)).status == 200
        await asyncio.gather(*(ask(connections, node) for _ in range(10)))
        assert len(script.requests) == 20 and script.connections == 10
        connections.close()


async def test_connections_are_never_more_than_their_bound_whatever_is_asked() -> None:
    scripts, connections = [Scripted(*MANY), Scripted(*MANY)], Connections(maximum=4)
    async with served(scripts[0]) as first, served(scripts[1]) as second:
        for node in (first, second, first):
            await asyncio.gather(*(ask(connections, node) for _ in range(40)))
            await asyncio.sleep(0.05)
            assert scripts[0].open + scripts[1].open <= 4
        assert [len(script.requests) for script in scripts] == [80, 40]
        assert max(script.most for script in scripts) == 4
        connections.close()


async def test_connections_caller_waits_for_a_turn_within_its_own_time() -> None:
    script, connections = Scripted(*MANY), Connections(maximum=1)
    script.proceed.clear()
    async with served(script) as node:
        first = asyncio.create_task(ask(connections, node))
        await asyncio.sleep(0.05)
        with pytest.raises(Failed, match="1 other requests are under way") as failure:
            await ask(connections, node, 0.05)
        assert not failure.value.sent
        script.proceed.set()
        assert (await first).status == 200
        assert (await ask(connections, node)).status == 200, "its turn was not lost"
        connections.close()


async def test_connections_to_a_node_that_gave_no_answer_are_not_used_again() -> None:
    script, connections = Scripted(*MANY), Connections()
    async with served(script) as node:
        await asyncio.gather(*(ask(connections, node) for _ in range(3)))
        script.proceed.clear()
        with pytest.raises(Failed, match="no answer"):
            await ask(connections, node, 0.1)
        script.proceed.set()
        assert (await ask(connections, node)).status == 200
        assert script.connections == 4
        connections.close()


async def test_connections_turn_of_a_caller_that_goes_away_is_given_on() -> None:
    script, connections = Scripted(*MANY), Connections(maximum=1)
    script.proceed.clear()
    async with served(script) as node:
        calls = [asyncio.create_task(ask(connections, node)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for call in calls[:2]:
            call.cancel()
        script.proceed.set()
        assert (await calls[2]).status == 200
        connections.close()


async def test_connections_one_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node closes it, and that could cross a request on its way."""
    script, connections = Scripted(*MANY), Connections()
    async with served(script) as node:
        await ask(connections, node)
        monkeypatch.setattr(module, "IDLE_S_MAX", 0.0)
        await ask(connections, node)
        assert script.connections == 2
        connections.close()


async def test_connections_what_must_not_be_sent_twice_is_not_sent_where_the_node_has_closed() -> None:
    """Even if the loop has not had the time to read that it has."""
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            first, _ = listening.accept()
            first.recv(1000)
            first.sendall(OK)
            first.close()
            closed.set()
            second, _ = listening.accept()
            with second:
                second.recv(1000)
                second.sendall(OK)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        connections, node = Connections(), f"127.0.0.1:{listening.getsockname()[1]}"
        await ask(connections, node)
        assert closed.wait(5), "and the loop stands still meanwhile"
        assert (await ask(connections, node, once=True)).status == 200
        server.join(5)
        connections.close()


async def test_connections_closed_end_what_is_under_way_and_take_nothing_more() -> None:
    script, connections = Scripted(*MANY), Connections()
    script.proceed.clear()
    async with served(script) as node:
        call = asyncio.create_task(ask(connections, node))
        await asyncio.sleep(0.05)
        connections.close()
        with pytest.raises(Failed, match=CLOSED) as failure:
            await call
        assert failure.value.sent
        script.proceed.set()
        with pytest.raises(Failed, match=CLOSED) as failure:
            await ask(connections, node)
        assert not failure.value.sent
        await asyncio.sleep(0.05)
        assert script.open == 0
