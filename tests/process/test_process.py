"""What only real processes can show: sudden death, pauses, restarts, and view changes through all of them."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterable

import aiohttp
import pytest

from gossip.view import Address, Stamp, host_of, port_of
from node.wire import Call as WireCall
from node.wire import CallFrame, Claim, CountKeys, Hello, Holding, encode
from tests.cluster import Client, Processes, Reply, eventually, fresh_addresses
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def count(reply: Reply) -> int:
    """The keys that a view change reports, all together."""
    assert reply.status == 200, reply.body
    return sum(shard["key-count"] for shard in reply.json["shards"])


async def counts_of(http: Client, nodes: Iterable[Address]) -> list[int]:
    return [await http.key_count(node) for node in nodes]


async def one_view(http: Client, nodes: Iterable[Address], members: Iterable[Address]) -> None:
    """Wait until all `nodes` hold one and the same view, of these members."""

    async def same() -> bool:
        held = {await http.view_of(node) for node in nodes}
        return len(held) == 1 and held.pop()[2] == frozenset(members)

    await eventually(same, "one view everywhere")


async def settles(http: Client, nodes: Iterable[Address]) -> None:
    async def settled() -> bool:
        shown = [(await http.ask(node, "GET", "/kvs/view-change")).json["state"] for node in nodes]
        return set(shown) == {"settled"}

    await eventually(settled, "the view change settles")


# Crashes


async def test_process_kill_9_at_any_moment_no_acknowledged_write_lost(processes: Processes, http: Client) -> None:
    nodes, rng = fresh_addresses(3), random.Random(1)
    await processes.start_all(nodes)
    load = Load(http, nodes, 60)
    async with load.running():
        for victim in nodes * 3:
            await load.goes_on(rng.randint(20, 150))
            await processes[victim].kill()
            await load.goes_on(5)
            await processes[victim].start()
    await processes.in_touch(nodes)
    assert len(load.acknowledged) > 30 and load.failed
    await load.check_all()


async def test_process_all_killed_at_once_restart_with_everything(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    load = Load(http, nodes, 100)
    async with load.running():
        await load.goes_on(300)
        await asyncio.gather(*(processes[node].kill() for node in nodes))
    await asyncio.gather(*(processes[node].start() for node in nodes))
    await processes.in_touch(nodes)
    await load.check_all()
    assert sum(await counts_of(http, nodes)) >= len(load.acknowledged)


async def test_process_paused_owner_503_then_well(processes: Processes, http: Client) -> None:
    nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    load = Load(http, nodes, 40)
    await load.fill()
    processes[nodes[1]].signal(signal.SIGSTOP)
    replies = await asyncio.gather(*(http.put(nodes[0], key, 2) for key in load.keys))
    assert {reply.status for reply in replies} == {200, 503}
    processes[nodes[1]].signal(signal.SIGCONT)
    for key, reply in zip(load.keys, replies, strict=True):
        if reply.status == 200:
            load.sent[key] = load.acknowledged[key] = 2

    async def well() -> bool:
        return (
            (await http.put(nodes[0], load.keys[0], 3)).status
            == (await http.put(nodes[1], load.keys[0], 3)).status
            == 200
        )

    await eventually(well, "both nodes serve again")
    for key, reply in zip(load.keys[1:], replies[1:], strict=True):
        values = {(await http.get(node, key)).json["value"] for node in nodes}
        assert len(values) == 1 and values <= ({2} if reply.status == 200 else {1, 2})


async def test_process_paused_owner_replaced_serves_nothing_stale(processes: Processes, http: Client) -> None:
    """A node that was removed while it stood still must learn of that before it answers from what it had."""
    a, b = fresh_addresses(2)
    await processes.start_all([a, b])
    load = Load(http, [a], 60)
    await load.fill()
    on_b = [key for key in load.keys if (await http.get(a, key)).json.get("address") == b]
    processes[b].signal(signal.SIGSTOP)
    assert (await http.change_view(a, [a])).status == 200
    for key in on_b:
        assert (await http.put(a, key, "new")).status == 201
    processes[b].signal(signal.SIGCONT)
    replies = await asyncio.gather(*(http.get(b, key) for key in on_b))
    assert {reply.json.get("value") for reply in replies} == {"new"}
    await settles(http, [a])
    assert await counts_of(http, [a, b]) == [60, 0]


# Views and restarts


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


# View changes and faults


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


# Hostile requests


async def test_process_hostile_requests_leave_nodes_well(processes: Processes, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    load = Load(http, nodes, 40)
    await load.fill()
    epoch, digest, _ = await http.view_of(a)
    stamp = Stamp(epoch, int(digest, 16))

    held_open = []
    for part in (
        b"PUT /kvs/keys/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        b"GET /kvs/key",
        b"",
        b"\0\xff" * 100,
    ):
        for _ in range(50):
            _, writer = await asyncio.open_connection(host_of(a), port_of(a))
            writer.write(part)
            held_open.append(writer)
    async with load.running():
        await load.goes_on(200)
        large = await http.ask(a, "PUT", "/kvs/keys/k", b'{"value":"' + b"x" * 10_000_000 + b'"}')
        assert large.status == 413
        for frame in (
            b"",
            b"\xc1" * 10_000,
            b"\xff" * 9_000_000,
            encode([2**64 - 1, [], []]),
            encode(CallFrame(0, (WireCall(1, stamp, 2**62, Hello(b"no view")),), ())),
            encode(CallFrame(0, (WireCall(1, stamp, 0, CountKeys(b"\xff\xff\xff")),), ())),
            encode(CallFrame(0, (WireCall(1, stamp, 0, CountKeys(b"\xff\xff")),), ())),
            encode(CallFrame(0, (WireCall(1, stamp, 0, Holding(b"\xff\xff")),), ())),
            encode(CallFrame(0, (WireCall(1, stamp, 0, Claim()),) * 10, ())),
        ):
            await send_to_peer_port(a, frame)
        await load.goes_on(200)
    for writer in held_open:
        writer.transport.abort()
    assert load.failed == []
    await load.check_all()
    assert sum(await counts_of(http, nodes)) == 40
    assert (await http.change_view(a, [b])).status == 200
    assert "Traceback" not in processes[a].log.read_text()


async def send_to_peer_port(node: Address, frame: bytes) -> None:
    """Send one frame as a node would, and take what comes, an answer or the end."""
    stranger = "stranger.example:13800"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{node}/peer?from={stranger}&to={node}") as socket,
    ):
        try:
            await socket.send_bytes(frame)
            await socket.receive(timeout=10)
        except OSError:
            pass
