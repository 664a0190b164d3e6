"""Two copies with 12 Mbit/s between them, and values of a megabyte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.cluster import Client, Processes
from tests.process.relayed import RelayedNodes

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

BYTES_S = 12_000_000 / 8
LARGE = "x" * (2**20 - 2)
"""A megabyte of JSON."""


@pytest.fixture
async def slow_nodes(processes: Processes) -> AsyncIterator[RelayedNodes]:
    nodes = RelayedNodes(processes)
    for relay in nodes.relays:
        relay.bytes_s = BYTES_S
    yield nodes
    await nodes.close()


async def test_process_large_values_on_a_slow_link_are_on_both_copies_when_they_are_acknowledged(
    slow_nodes: RelayedNodes, http: Client
) -> None:
    """Nobody is left out, so with the way between cut right after, the other one has all of them."""
    await slow_nodes.start()
    await slow_nodes.in_touch(http)
    one, other = slow_nodes.listen
    assert (await http.put(one, "key-0", LARGE)).status == 201
    assert (await http.put(other, "key-1", LARGE)).status == 201
    small = asyncio.create_task(keep_writing(http, one))
    for number in range(2, 5):
        assert (await http.put(one, f"key-{number}", LARGE)).status == 201
    assert not small.done()
    small.cancel()
    await slow_nodes.close()
    for node in slow_nodes.listen:
        for number in range(5):
            reply = await http.get(node, f"key-{number}")
            while reply.status == 503:
                reply = await http.get(node, f"key-{number}")
            assert reply.json["value"] == LARGE
    for number in (0, 1):
        assert "writes go on without" not in slow_nodes.log(number)


async def keep_writing(http: Client, node: str) -> None:
    """Small ones beside the large ones: each is acknowledged."""
    number = 0
    while True:
        assert (await http.put(node, f"small-{number}", number)).status == 201
        number += 1
        await asyncio.sleep(0.05)
