"""Two copies with half a second between them: each is behind a relay that delays whatever passes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually
from tests.process.relayed import RelayedNodes

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ONE_WAY_S = 0.24


@pytest.fixture
async def far_nodes(processes: Processes) -> AsyncIterator[RelayedNodes]:
    nodes = RelayedNodes(processes)
    for relay in nodes.relays:
        relay.delay_s = ONE_WAY_S
    yield nodes
    await nodes.close()


async def test_process_far_nodes_that_are_made_for_it_keep_two_copies(far_nodes: RelayedNodes, http: Client) -> None:
    """And say nothing of it. Each reads what the other has acknowledged before, and in the end with no way between."""
    await far_nodes.start(ROUND_TRIP_MS="500")
    await far_nodes.in_touch(http)
    one, other = far_nodes.listen
    for number in range(3):
        assert (await http.put(one, f"key-{number}", number)).status == 201
        assert (await http.get(other, f"key-{number}")).json["value"] == number
        assert (await http.put(other, f"key-{number}", -number)).status == 200
        assert (await http.get(one, f"key-{number}")).json["value"] == -number
    for relay in far_nodes.relays:
        await relay.close()
    for node in far_nodes.listen:

        async def has_all(node: Address = node) -> bool:
            return [(await http.get(node, f"key-{number}")).status for number in range(3)] == [200] * 3

        await eventually(has_all, f"{node} has all keys")
    assert "a round trip to" not in far_nodes.log(0) + far_nodes.log(1)


async def test_process_far_nodes_that_are_not_made_for_it_say_so_and_keep_two_copies(
    far_nodes: RelayedNodes, http: Client
) -> None:
    await far_nodes.start()

    async def both_say_so() -> bool:
        return all(
            f"a round trip to {far_nodes.addresses[1 - number]} takes" in far_nodes.log(number) for number in (0, 1)
        )

    await eventually(both_say_so, "a line on each node")
    await far_nodes.in_touch(http)
    one, other = far_nodes.listen
    assert (await http.put(one, "key", 1)).status == 201
    assert (await http.get(other, "key")).json["value"] == 1
    assert all(far_nodes.log(number).count("ROUND_TRIP_MS") == 1 for number in (0, 1)), "one line a peer"
