"""View changes through deaths, rivals, lost clients and load."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import host_of, port_of
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.process.views import count, counts_of, one_view, settles
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def test_process_view_change_client_hangs_up_completes(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes, [a, b])
    load = Load(http, [a, b], 500)
    await load.fill()
    body = b'{"view":"%b"}' % ",".join(nodes).encode()
    _, writer = await asyncio.open_connection(host_of(b), port_of(b))
    writer.write(b"PUT /kvs/view-change HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()
    writer.close()
    await one_view(http, nodes, nodes)
    await settles(http, nodes)
    assert sum(await counts_of(http, nodes)) == 500 and await http.key_count(c) > 0
    await load.check_all()


@pytest.mark.parametrize("victim", ["target", "donor", "coordinator"])
async def test_process_view_change_node_killed_in_the_middle_resumes(
    processes: Processes, http: Client, victim: str
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes, [a, b])
    load = Load(http, [a, b], 3000)
    await load.fill()
    killed, coordinator = {"target": (c, a), "donor": (b, a), "coordinator": (a, a)}[victim]
    assert (await http.change_view(coordinator, nodes, "?wait=false")).status == 202
    await processes[killed].kill()
    others = [node for node in nodes if node != killed]
    assert (await http.ask(others[0], "GET", "/kvs/view-change")).json["state"] == "moving"
    await processes[killed].start()
    await processes.in_touch(nodes)
    await one_view(http, nodes, nodes)
    await settles(http, nodes)
    assert sum(await counts_of(http, nodes)) == 3000
    load.keys = load.keys[::10]
    await load.check_all(nodes)


async def test_process_two_view_changes_at_once_at_most_one_accepted(processes: Processes, http: Client) -> None:
    a, b, c, d = nodes = fresh_addresses(4)
    await processes.start_all(nodes, [a, b])
    load = Load(http, [a, b], 1000)
    await load.fill()
    wanted = [[a, b, c], [a, b, d]]
    replies = await asyncio.gather(http.change_view(a, wanted[0]), http.change_view(b, wanted[1]))
    statuses = [reply.status for reply in replies]
    assert statuses.count(200) <= 1 and set(statuses) <= {200, 409}, [reply.body for reply in replies]
    members = wanted[statuses.index(200)] if 200 in statuses else [a, b]
    await one_view(http, members, members)
    await settles(http, members)
    assert sum(await counts_of(http, nodes)) == 1000
    load.keys = load.keys[::5]
    await load.check_all(nodes)
    await one_view(http, nodes, members)


async def test_process_same_view_change_at_two_nodes_both_200(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes, [a, b])
    load = Load(http, [a, b], 500)
    await load.fill()
    for wanted in (nodes, [b, c], nodes):
        replies = await asyncio.gather(*(http.change_view(node, wanted) for node in (a, c)))
        assert [count(reply) for reply in replies] == [500, 500]
        assert replies[0].body == replies[1].body
        await one_view(http, nodes, wanted)
    load.keys = load.keys[::5]
    await load.check_all()


async def test_process_removed_while_down_returns_and_hands_over(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    load = Load(http, nodes, 200)
    await load.fill()
    kept = await counts_of(http, nodes)
    await processes[c].kill()
    assert count(await http.change_view(a, [a, b])) == kept[0] + kept[1]
    overwritten = [key for key in load.keys if (await http.get(a, key)).status == 404][:10]
    for key in overwritten:
        assert (await http.put(b, key, 2)).status == 201
        load.sent[key] = load.acknowledged[key] = 2
    await processes[c].start()
    await processes.in_touch(nodes)

    async def brought_home() -> bool:
        return sum(await counts_of(http, [a, b])) == 200

    await eventually(brought_home, "the removed node hands over")
    assert await http.key_count(c) == 0
    await one_view(http, nodes, [a, b])
    await load.check_all()


async def test_process_view_changes_under_load_no_request_fails(processes: Processes, http: Client) -> None:
    a, b, c, d = nodes = fresh_addresses(4)
    await processes.start_all(nodes, [a, b])
    load = Load(http, nodes, 300)
    await load.fill()
    for number, members in enumerate([[a, b, c], nodes, [b, d], [a, c], [d, a, c]]):
        async with load.running():
            await load.goes_on(50)
            reply = await http.change_view(nodes[number % 4], members)
            await load.goes_on(50)
        assert count(reply) == 300
        assert [shard["address"] for shard in reply.json["shards"]] == members
        assert sum(await counts_of(http, members)) == 300
        assert sum(await counts_of(http, nodes)) == 300
        assert load.failed == []
        await load.check_all()
        await one_view(http, members, members)
