"""More clients than a process may have descriptors: the nodes do not lose each other."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gossip.view import host_of, port_of
from tests.cluster import Client, Processes, eventually, fresh_addresses

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

LIMIT, CLIENTS = 64, 200
LIMITED = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
sys.argv = ["node"]
runpy.run_module("node", run_name="__main__")
"""


async def test_process_with_few_descriptors_serves_and_keeps_its_peers_beside_many_idle_clients(
    processes: Processes, http: Client
) -> None:
    nodes = fresh_addresses(4)
    for node in nodes:
        processes.make(node, nodes).program = ("-c", LIMITED)
        await processes[node].start()
    await processes.in_touch(nodes)
    a, *others = nodes
    idle: list[asyncio.StreamWriter] = []
    try:
        for _ in range(CLIENTS):
            with suppress(OSError):
                idle.append((await asyncio.open_connection(host_of(a), port_of(a)))[1])
        for other in others:  # Each has to call the others anew.
            await processes[other].kill()
            await processes[other].start()
        await processes.in_touch(nodes)

        async def is_served() -> bool:
            replies = [await http.put(node, f"key{n}", n) for n, node in enumerate(nodes * 10)]
            replies += [await http.get(node, f"key{n}") for n, node in enumerate(nodes * 10)]
            return all(reply.status in (200, 201) for reply in replies)

        await eventually(is_served, "every key through every node")
    finally:
        for writer in idle:
            writer.close()
    assert processes[a].log.read_text().count("clients have all") == 1
