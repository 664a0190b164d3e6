"""A client that waits for a view change and sends no more may still listen, or have gone: it is found out which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from unittest.mock import patch

import pytest

from gossip.view import Address, host_of, port_of
from node.api.presence import Presence
from node.repair.handoff import Handoff
from tests.cluster import Cluster, eventually, fresh_addresses
from tests.node.api.short_way import read_answer, reset

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
async def node(cluster: Cluster) -> AsyncIterator[Address]:
    """One at which no view change settles for now."""
    (node,) = fresh_addresses(1)
    await cluster.start(node, [node])
    with patch.object(Handoff, "is_settled", lambda _: False):
        yield node


async def ask(node: Address, version: bytes = b"1.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a view change, which begins to wait."""
    reader, writer = await asyncio.open_connection(host_of(node), port_of(node))
    body = b'{"view":"%b"}' % node.encode()
    head = b"PUT /kvs/view-change HTTP/%b\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (version, len(body))
    writer.write(head + body)
    await eventually(waits, "the request waits")
    return reader, writer


async def waits() -> bool:
    return any("Coordinator.await_settled" in repr(task) for task in asyncio.all_tasks())


async def waits_no_more() -> bool:
    return not await waits()


async def test_presence_of_one_that_sends_no_more_but_listens_is_asked_for_once_and_it_is_answered(
    node: Address,
) -> None:
    reader, writer = await ask(node)
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.readexactly(len(INTERIM)) == INTERIM
    with patch.object(Handoff, "is_settled", lambda _: True):
        head, body = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 200 ") and b"View change successful" in body
        assert await reader.read() == b""
    writer.close()


async def test_presence_of_one_that_has_gone_is_at_an_end(node: Address) -> None:
    _, writer = await ask(node)
    writer.close()
    await eventually(waits_no_more, "nobody waits for it")


async def test_presence_of_one_that_has_listened_and_gone_is_at_an_end(node: Address) -> None:
    reader, writer = await ask(node)
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.readexactly(len(INTERIM)) == INTERIM
    reset(writer)
    await eventually(waits_no_more, "nobody waits for it")


async def test_presence_of_one_that_knows_no_interim_answers_is_at_an_end_once_it_sends_no_more(node: Address) -> None:
    reader, writer = await ask(node, b"1.0")
    writer.write_eof()
    await eventually(waits_no_more, "nobody waits for it")
    assert await reader.read() == b""
    writer.close()


async def test_presence_of_one_that_may_send_more_is_not_asked_for(node: Address) -> None:
    looks: list[bool] = []

    def look(self: Presence, has_left: Callable[[Presence], bool] = Presence.has_left) -> bool:
        looks.append(has_left(self))
        return looks[-1]

    async def has_looked_twice() -> bool:
        return len(looks) == 2

    with patch.object(Presence, "has_left", look):
        reader, writer = await ask(node)
        await eventually(has_looked_twice, "two looks at whether the client is there")
    with patch.object(Handoff, "is_settled", lambda _: True):
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 ")
    assert looks[:2] == [False, False]
    writer.close()
