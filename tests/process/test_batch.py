"""Batches through real nodes: as long as one likes, while nodes are killed, and while the one that takes them ends."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gossip.view import Address
from tests.cluster import Client, NodeProcess, Processes, eventually, fresh_addresses
from tests.node.api.streams import Stream, line, stream

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

LONG, COUNT = 100_000, 3000
PIECE = 500
GROWTH_KIB_MAX = 24 * 1024
"""What a few chunks, buffers and the figures of so many keys take; all lines of the long batch would be four times as
much."""


def puts(numbers: Iterable[int], prefix: str, size: int = 350) -> bytes:
    return b"".join(line(op="put", key=f"{prefix}{number}", value="x" * size) for number in numbers)


async def send(client: Stream, count: int, prefix: str, size: int = 350) -> None:
    for start in range(0, count, PIECE):
        client.send(puts(range(start, min(start + PIECE, count)), prefix, size))
        await client.writer.drain()
    client.end()


def private_kib(node: NodeProcess) -> int:
    """What the process has in memory that is not of a file."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(next(text.split()[1] for text in status.splitlines() if text.startswith("RssAnon")))


async def test_process_batch_of_any_length_streams_both_ways_in_bounded_memory(
    processes: Processes, http: Client
) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    async with stream(nodes[0]) as client:
        client.send(puts(range(PIECE), "warm"))
        client.end()
        assert len(await client.answers()) == PIECE
    before = {node: private_kib(processes[node]) for node in nodes}
    highest = dict(before)
    async with stream(nodes[0]) as client:
        sending = asyncio.create_task(send(client, LONG, "k", size=800))
        for number in range(LONG):
            answer = await client.answer()
            assert (answer["key"], answer["status"]) == (f"k{number}", 201)
            if number % 10_000 == 0:
                highest = {node: max(highest[node], private_kib(processes[node])) for node in nodes}
        assert await client.answer() is None
        await sending
    assert sum([await http.key_count(node) for node in nodes]) == LONG + PIECE
    assert all(highest[node] - before[node] < GROWTH_KIB_MAX for node in nodes), (before, highest)


async def read_all(http: Client, node: Address, keys: Iterable[str]) -> list[Any]:
    lines = b"".join(line(op="get", key=key) for key in keys)
    reply = await http.ask(node, "POST", "/kvs/batch", lines)
    return [json.loads(text) for text in reply.body.splitlines()]


@pytest.mark.parametrize("copies", ["1", "2"])
async def test_process_batch_goes_on_while_a_node_is_killed(processes: Processes, http: Client, copies: str) -> None:
    """With a second copy nothing is refused; without one, what only the killed node may take is, line by line."""
    count, nodes = 20_000, fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR=copies)
    answers = list[Any]()
    async with stream(nodes[0]) as client:
        sending = asyncio.create_task(send(client, count, "k"))
        while (answer := await client.answer()) is not None:
            answers.append(answer)
            if len(answers) == 2000:
                await processes[nodes[3]].kill()
            if len(answers) == 12_000:
                await processes[nodes[3]].start()
        await sending
    assert [answer["key"] for answer in answers] == [f"k{number}" for number in range(count)]
    assert {answer["status"] for answer in answers} <= ({200, 201} if copies == "2" else {200, 201, 503})
    written = [answer["key"] for answer in answers if answer["status"] in (200, 201)]

    async def all_are_there() -> bool:
        return all(found["status"] == 200 for found in await read_all(http, nodes[1], written))

    await eventually(all_are_there, "all that was acknowledged")


async def test_process_batch_ends_with_its_node_and_what_was_answered_is_done(
    processes: Processes, http: Client
) -> None:
    (node,) = fresh_addresses(1)
    await processes.start(node, [node])
    written = list[str]()
    async with stream(node) as client:
        client.send(puts(range(COUNT), "k"))
        answer = await client.answer()
        while answer is not None and "key" in answer:
            assert answer["status"] == 201
            written.append(answer["key"])
            if len(written) == COUNT // 2:
                processes[node].signal(signal.SIGTERM)
            answer = await client.answer()
        assert answer is not None and (answer["status"], answer["error"]) == (503, "This node is stopping")
        assert await client.answer() is None
    assert await processes[node].ended() == 0
    assert COUNT // 2 <= len(written) <= COUNT
    await processes[node].start()
    assert {found["status"] for found in await read_all(http, node, written)} == {200}
