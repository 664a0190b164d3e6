"""Processes whose environment names another view than the one on their disk, or than the others hold."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.cluster import Client, Processes, fresh_addresses
from tests.process.views import count, counts_of, one_view
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def test_process_restart_stored_view_outranks_environment(processes: Processes, http: Client) -> None:
    a, b, _ = nodes = fresh_addresses(3)
    await processes.start_all(nodes, [a, b])
    load = Load(http, nodes, 50)
    await load.fill()
    assert count(await http.change_view(a, nodes)) == 50
    before = await http.view_of(a)
    for node in nodes:
        processes[node].signal(signal.SIGTERM)
        assert await processes[node].ended() == 0
        processes[node].environment |= {"VIEW": node, "REPL_FACTOR": "2"}
    await asyncio.gather(*(processes[node].start() for node in nodes))
    await processes.in_touch(nodes)
    assert {await http.view_of(node) for node in nodes} == {before}
    assert list((await http.ask(a, "GET", "/kvs/key-count")).json) == ["message", "key-count"]
    await load.check_all()


@pytest.mark.parametrize("asked", range(3))
async def test_process_newcomer_with_larger_view_reshards_nothing(
    processes: Processes, http: Client, asked: int
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all([a, b])
    load = Load(http, [a, b], 60)
    await load.fill()
    before, kept = await http.view_of(a), await counts_of(http, [a, b])
    await processes.start(c, nodes)
    await one_view(http, nodes, [a, b])
    await processes.in_touch(nodes)
    await load.check_all(nodes)
    assert await http.view_of(c) == before
    assert await counts_of(http, nodes) == [*kept, 0]

    reply = await http.change_view(nodes[asked], nodes)
    assert count(reply) == 60 and [shard["address"] for shard in reply.json["shards"]] == nodes
    assert [shard["key-count"] for shard in reply.json["shards"]] == await counts_of(http, nodes)
    assert min(await counts_of(http, nodes)) > 0
    await load.check_all(nodes)


async def test_process_larger_view_started_first_follows_the_others(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start(c, nodes)
    assert (await http.get(c, "k")).status in (404, 503)
    await processes.start_all([a, b])
    await one_view(http, nodes, [a, b])
    await processes.in_touch(nodes)
    load = Load(http, nodes, 60)
    await load.fill()
    assert (await counts_of(http, nodes))[2] == 0
    assert count(await http.change_view(c, nodes)) == 60
    await load.check_all()
