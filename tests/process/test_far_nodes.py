"""Two copies with half a second between them: each is behind a relay that delays whatever passes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gossip.view import Address, port_of
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.relay import Relay

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ONE_WAY_S = 0.24


class FarNodes:
    """Known to each other by their `addresses`, where the relays are. Clients ask them where they `listen`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        addresses = fresh_addresses(4)
        self.addresses, self._hosts = addresses[:2], [address.rpartition(":")[0] for address in addresses[2:]]
        self.listen: list[Address] = [f"{host}:{port_of(self.addresses[0])}" for host in self._hosts]
        self.relays = [Relay(address, far) for address, far in zip(self.addresses, self.listen, strict=True)]

    async def start(self, **environment: str) -> None:
        for relay, address, host in zip(self.relays, self.addresses, self._hosts, strict=True):
            relay.delay_s = ONE_WAY_S
            await relay.open()
            await self._processes.start(address, self.addresses, REPL_FACTOR="2", BIND=host, **environment)

    async def in_touch(self, http: Client) -> None:
        """Wait until each has heard the other and compared with it: until then writes are on one copy."""
        for node in self.listen:

            async def reaches_both(node: Address = node) -> bool:
                shown = (await http.ask(node, "GET", "/kvs/view-change")).json
                return shown["state"] == "settled" and all(one["keys"] is not None for one in shown["nodes"])

            await eventually(reaches_both, f"{node} reaches the other one")

    def log(self, number: int) -> str:
        return self._processes[self.addresses[number]].log.read_text()


@pytest.fixture
async def far_nodes(processes: Processes) -> AsyncIterator[FarNodes]:
    nodes = FarNodes(processes)
    yield nodes
    for relay in nodes.relays:
        await relay.close()


async def test_process_far_nodes_that_are_made_for_it_keep_two_copies(far_nodes: FarNodes, http: Client) -> None:
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
    far_nodes: FarNodes, http: Client
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
