"""Sudden death, and pauses: what was acknowledged is there, and nothing stale is served."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from functools import partial

import aiohttp
import pytest

from gossip.view import host_of, port_of
from tests.cluster import Client, Processes, Reply, eventually, fresh_addresses
from tests.process.views import counts_of, settles
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


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


async def test_process_all_killed_at_once_restart_with_every_key(processes: Processes, http: Client) -> None:
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
    """A node that was removed while it was paused must learn of that before it answers from what it had."""
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

    async def read(key: str) -> Reply | None:
        try:
            return await http.get(b, key)
        except aiohttp.ClientError:
            return None  # It was reset: it came before the node had asked around.

    replies = [reply for reply in await asyncio.gather(*map(read, on_b)) if reply is not None]
    assert {reply.json.get("value") for reply in replies} <= {"new"}
    for key in on_b:
        reply = await eventually(partial(read, key))
        assert reply is not None and reply.json["value"] == "new"
    await settles(http, [a])
    assert await counts_of(http, [a, b]) == [60, 0]


@pytest.mark.parametrize("connected", [True, False], ids=["connected before", "connecting meanwhile"])
@pytest.mark.parametrize("path", ["/kvs/keys/k", "/kvs/keys/%6B?x"], ids=["short way", "aiohttp"])
async def test_process_paused_node_does_not_execute_what_piled_up(
    processes: Processes, http: Client, connected: bool, path: str
) -> None:
    """Its clients may have given up on it, and done the same, and more, elsewhere."""
    a, b = fresh_addresses(2)
    await processes.start_all([a, b])
    assert (await http.put(a, "k", "first")).status == 201
    body = b'{"value":"late"}'
    request = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host_of(a), port_of(a))

    clients = [await connect() for _ in range(20)] if connected else []
    await eventually(partial(http.get, a, "k"), "the connections are accepted")
    processes[a].signal(signal.SIGSTOP)
    await asyncio.sleep(1.5)  # The pause: long for clients.
    clients = clients or [await connect() for _ in range(20)]
    for _, writer in clients:
        writer.write(request)
        await writer.drain()
    processes[a].signal(signal.SIGCONT)
    for reader, writer in clients:
        with suppress(ConnectionError):
            assert await reader.read(1) == b""
        writer.close()

    async def read() -> object:
        return (await http.get(a, "k")).json.get("value")

    assert await eventually(read, "the node serves again") == "first"
