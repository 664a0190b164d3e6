"""Nodes with names: what a name server that is silent, or says something new, may cost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gossip.view import Address, host_of
from tests.cluster import PORT, Client, NodeProcess, Processes, eventually, fresh_addresses
from tests.process.name_server import DOMAIN, NameServer

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

STOP_S = 5.0
"""Whatever else is the matter, a node ends within this."""
SILENT = [f"silent{number}" for number in range(12)]
"""More than an event loop has threads for look-ups."""


def named(name: str, port: int = PORT) -> Address:
    return f"{name}.{DOMAIN}:{port}"


class NamedNodes:
    """Processes whose addresses are names, on IPs of one subnet."""

    def __init__(self, processes: Processes, http: Client, names: NameServer, addresses: list[Address]) -> None:
        self.names = names
        self._processes = processes
        self._http = http
        self._addresses = addresses
        """At which tests reach them."""

    def make(self, name: str, view: list[Address], ip_number: int, data_dir: Path | None = None) -> NodeProcess:
        """A node that listens on one of the IPs; its name leads there from now on."""
        at = self._addresses[ip_number]
        environment = {"ADDRESS": named(name), "BIND": host_of(at)}
        process = self._processes.make(
            at, view, **environment, **({} if data_dir is None else {"DATA_DIR": str(data_dir)})
        )
        self.names.serve(process)
        self.names.addresses[name] = host_of(at)
        return process

    async def reaches(self, one: NodeProcess, other: str) -> None:
        """Wait until the node of that name has answered `one`."""

        async def is_reached() -> bool:
            shown = (await self._http.ask(one.address, "GET", "/kvs/view-change")).json["nodes"]
            return any(node["address"] == named(other) and node["keys"] is not None for node in shown)

        await eventually(is_reached, f"{one.address} reaching {other}")

    async def key_of(self, name: str, via: NodeProcess) -> str:
        """A new key that this node, another one than that asked, has stored."""
        for number in range(1000):
            reply = await self._http.put(via.address, f"k{number}", number)
            if reply.json.get("address") == named(name):
                return f"k{number}"
        raise AssertionError(f"{name} owns no key")


@pytest.fixture
async def nodes(processes: Processes, http: Client, tmp_path: Path) -> AsyncIterator[NamedNodes]:
    addresses = fresh_addresses(3)
    names = NameServer(addresses[0], tmp_path)
    try:
        await names.open()
    except OSError as error:
        names.close()
        pytest.skip(f"a name server of one's own takes root: {error}")
    yield NamedNodes(processes, http, names, addresses)
    names.close()


async def test_process_names_without_an_answer_hold_up_no_other_peer(nodes: NamedNodes, http: Client) -> None:
    nodes.names.silent.update(SILENT)
    view = [named("n1"), named("n2"), *(named(name, PORT + 1) for name in SILENT)]
    n1, n2 = nodes.make("n1", view, 0), nodes.make("n2", view, 1)
    await asyncio.gather(n1.start(), n2.start())
    await nodes.reaches(n1, "n2")
    key = await nodes.key_of("n2", via=n1)

    async def all_asked_for() -> bool:
        return all(nodes.names.asked[name] for name in SILENT)

    await eventually(all_asked_for, "a look-up of each name")
    await n2.kill()
    await n2.start()
    await nodes.reaches(n2, "n1")

    async def is_back() -> bool:
        return (await http.get(n1.address, key)).status == 200

    await eventually(is_back, "a key of the node that was restarted")


async def test_process_name_without_an_answer_does_not_hold_up_the_end(nodes: NamedNodes) -> None:
    nodes.names.silent.update(SILENT)
    n1 = nodes.make("n1", [named("n1"), *(named(name, PORT + 1) for name in SILENT)], 0)
    await n1.start()

    async def some_asked_for() -> bool:
        return any(nodes.names.asked[name] for name in SILENT)

    await eventually(some_asked_for, "a look-up")
    began = time.monotonic()
    n1.signal(signal.SIGTERM)
    assert await n1.ended() == 0
    assert time.monotonic() - began < STOP_S


async def test_process_name_server_falls_silent_and_a_node_that_is_restarted_is_found(
    nodes: NamedNodes, http: Client
) -> None:
    view = [named("n1"), named("n2")]
    n1, n2 = nodes.make("n1", view, 0), nodes.make("n2", view, 1)
    await asyncio.gather(n1.start(), n2.start())
    await nodes.reaches(n1, "n2")
    key = await nodes.key_of("n2", via=n1)
    nodes.names.silent.update({"n1", "n2"})
    await n2.kill()
    await n2.start()

    async def is_back() -> bool:
        return (await http.get(n1.address, key)).status == 200

    await eventually(is_back, "a key of the node that was restarted")


async def test_process_node_that_comes_back_with_another_ip_is_found_not_who_has_its_former_one(
    nodes: NamedNodes, http: Client
) -> None:
    view = [named("n1"), named("n2")]
    n1, n2 = nodes.make("n1", view, 0), nodes.make("n2", view, 1)
    await asyncio.gather(n1.start(), n2.start())
    await nodes.reaches(n1, "n2")
    key = await nodes.key_of("n2", via=n1)
    await n2.kill()
    other = nodes.make("other", [named("other")], 1, data_dir=n2.data_dir.with_name("other"))
    await other.start()
    n2 = nodes.make("n2", view, 2, data_dir=n2.data_dir)
    await n2.start()

    async def is_back() -> bool:
        reply = await http.get(n1.address, key)
        return reply.status == 200 and bool(reply.json["address"] == named("n2"))

    await eventually(is_back, "a key of the node that has moved")
    await nodes.reaches(n1, "n2")
    assert await http.key_count(other.address) == 0


async def test_process_name_of_another_node_that_leads_here_does_not_end_a_node_that_has_keys(
    nodes: NamedNodes, http: Client
) -> None:
    """Its IP was that node's before, and the name server is late: it is no second name of this node."""
    view = [named("n1"), named("n2")]
    n1, n2 = nodes.make("n1", view, 0), nodes.make("n2", view, 1)
    await asyncio.gather(n1.start(), n2.start())
    await nodes.reaches(n1, "n2")
    key = await nodes.key_of("n1", via=n2)
    right = nodes.names.addresses["n2"]
    nodes.names.addresses["n2"] = nodes.names.addresses["n1"]
    await n1.kill()
    await n1.start()

    async def has_found_itself() -> bool:
        return f"it is this node, which takes '{named('n2')}' for another one" in n1.log.read_text()

    await eventually(has_found_itself, "the name of the other node being dialled")
    assert (await http.get(n1.address, key)).status == 200
    nodes.names.addresses["n2"] = right
    await nodes.reaches(n1, "n2")
