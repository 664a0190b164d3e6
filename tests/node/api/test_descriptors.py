"""Clients take no descriptors that other nodes need."""

from __future__ import annotations

import asyncio
import resource

import pytest

from node.api.descriptors import for_clients, raise_limit
from tests.cluster import eventually
from tests.node.api.short_way import PLAIN, Server, read_answer


@pytest.mark.parametrize(
    ("limit", "nodes", "number"), [(1024, 4, 976), (64, 4, 32), (256, 3, 214), (1 << 20, 100, (1 << 20) - 624)]
)
def test_descriptors_for_clients_are_what_the_node_and_others_do_not_need(limit: int, nodes: int, number: int) -> None:
    assert for_clients(limit, nodes) == number


def test_limit_is_raised_to_what_is_allowed() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def descriptors() -> int:
    """None is left for clients."""
    return 0


async def test_descriptors_a_client_that_is_idle_makes_room_for_the_next_one(server: Server) -> None:
    first, _ = await server.connect()
    second, sending = await server.connect()
    sending.write(PLAIN)
    head, body = await read_answer(second)
    assert b" 200 " in head and body == b"here GET a 0"
    assert await first.read() == b"", "it was closed"
    sending.close()


async def test_descriptors_where_nobody_makes_room_a_client_is_refused_and_a_node_is_not(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(PLAIN)
    head, body = await read_answer(reader)
    assert b" 503 " in head and b"Too many clients" in body
    assert await reader.read() == b""
    (await ask_as_a_node(server)).close()


async def ask_as_a_node(server: Server) -> asyncio.StreamWriter:
    """It is let in, to where links are made."""
    _, writer = await server.connect()
    writer.write(b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n")
    await eventually(server.has_let_go, "the connection is aiohttp's")
    return writer
