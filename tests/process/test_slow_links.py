"""Two copies with 12 Mbit/s between them, and values of a megabyte; or with a way that loses large packets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from node.net.messages import LARGE_BYTES
from tests.cluster import Client, Processes, eventually
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


async def test_process_path_that_loses_large_packets_costs_no_write_for_ever_and_is_named(
    slow_nodes: RelayedNodes, http: Client
) -> None:
    """Pings get through, a large value never does. For as long as it may take, writes are refused; then they go on
    with one copy, and are on both once the way is mended."""
    await slow_nodes.start()
    await slow_nodes.in_touch(http)
    one, other = slow_nodes.listen
    assert (await http.put(one, "small-0", 0)).status == 201
    for relay in slow_nodes.relays:
        relay.packet_bytes_max = LARGE_BYTES  # Several small ones that come at once, and a view, are less.

    async def is_put() -> bool:
        return (await http.put(one, "large", LARGE)).status in (200, 201)

    await eventually(is_put, "the large value is acknowledged")
    assert (await http.put(one, "small-1", 1)).status == 201

    async def is_told() -> bool:
        """The log is written by another thread."""
        address, log = slow_nodes.addresses[1], slow_nodes.log(0)
        to_the_peer = f"what is large does not get through to {address}" in log
        return to_the_peer and f"{address} is there, and what is large does not get through" in log

    await eventually(is_told, "lines that name the peer")
    for relay in slow_nodes.relays:
        await relay.close()
        relay.packet_bytes_max = None
        await relay.open()

    async def has_all() -> bool:
        replies = [await http.get(other, key) for key in ("small-0", "small-1", "large")]
        return [reply.status for reply in replies] == [200] * 3 and replies[2].json["value"] == LARGE

    await eventually(has_all, "the other copy has all")

    async def is_named() -> bool:
        return f"{slow_nodes.addresses[1]} has taken all that had not got through" in slow_nodes.log(0)

    await eventually(is_named, "the line that it has all")
