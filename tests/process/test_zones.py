"""Two nodes on each of two machines, as an operator starts them: no machine and no rack has both copies of a shard."""

from __future__ import annotations

import pytest

from gossip.view import Address, host_of
from tests.cluster import Client, Processes, fresh_addresses
from tests.process.views import count, one_view, settles
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def copies(http: Client, node: Address) -> list[list[Address]]:
    """The replicas of each shard. Whatever the ring says of its faults, it says that there are none."""
    ring = (await http.ask(node, "GET", "/kvs/ring")).json
    assert ring["faults"] == []
    return [shard["replicas"] for shard in ring["shards"]]


async def test_process_two_nodes_a_machine_never_have_both_copies(processes: Processes, http: Client) -> None:
    """At the start, and when a third machine has come and gone; with one machine dead, all is there."""
    nodes = fresh_addresses(6, per_host=2)
    four = nodes[:4]
    await processes.start_all(nodes, four, REPL_FACTOR="2")
    load = Load(http, nodes, 300)
    await load.fill()
    for members in (four, nodes, nodes[2:], four):
        assert count(await http.change_view(nodes[5], members)) == 300
        await one_view(http, nodes, members)
        await settles(http, nodes)
        for shard in await copies(http, nodes[0]):
            assert len(shard) == 2 and len(set(map(host_of, shard))) == 2, shard
    for node in four[:2]:
        await processes[node].kill()
    load.keys = load.keys[::10]
    await load.check_all(four[2:])


async def test_process_racks_never_have_both_copies_from_the_first_view_change_on(
    processes: Processes, http: Client
) -> None:
    nodes = fresh_addresses(4, per_host=2)
    racks = dict(zip(nodes, ("rack-1", "rack-2", "rack-1", "rack-2"), strict=True))
    for node, rack in racks.items():
        await processes.start(node, nodes, REPL_FACTOR="2", ZONE=rack)
    await processes.in_touch(nodes)
    for shard in await copies(http, nodes[0]):
        assert len(set(map(host_of, shard))) == 2, "nobody knows of racks yet"
    load = Load(http, nodes, 300)
    await load.fill()
    assert count(await http.change_view(nodes[0], nodes)) == 300
    await settles(http, nodes)
    ring = (await http.ask(nodes[3], "GET", "/kvs/ring")).json
    assert sorted(sorted(shard["zones"]) for shard in ring["shards"]) == [["rack-1", "rack-2"]] * 2
    for shard in await copies(http, nodes[0]):
        assert {racks[node] for node in shard} == {"rack-1", "rack-2"}
    for node, rack in racks.items():
        if rack == "rack-1":
            await processes[node].kill()
    load.keys = load.keys[::10]
    await load.check_all([node for node, rack in racks.items() if rack == "rack-2"])


async def test_process_zone_that_is_none_is_refused(processes: Processes) -> None:
    node = fresh_addresses(1)[0]
    process = processes.make(node, [node], ZONE="rack 1")
    await process.spawn()
    assert await process.ended() == 2
    (line,) = process.log.read_text().splitlines()
    assert line == "ZONE: 'rack 1' is not a name of 1 to 255 printable characters without spaces and commas"
