"""Requests and frames from strangers, which leave the nodes well."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from gossip.view import Address, ViewId, host_of, port_of
from node.config import CLUSTER_DEFAULT
from node.net.frames import Call as WireCall
from node.net.frames import CallFrame, encode
from node.net.handshake import url_of
from node.net.messages import AskHolding, CountKeys, Hello, Holding
from node.net.protocol import SPOKEN
from node.timing.clock import Clocks
from tests.cluster import Client, Processes, fresh_addresses
from tests.process.views import counts_of
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def test_process_hostile_requests_leave_nodes_well(processes: Processes, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    load = Load(http, nodes, 40)
    await load.fill()
    epoch, digest, _ = await http.view_of(a)
    view_id = ViewId(epoch, int(digest, 16))

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
            encode(CallFrame(Clocks(0, 0), (WireCall(1, view_id, 2**62, Hello(b"no view")),), ())),
            encode(CallFrame(Clocks(0, 0), (WireCall(1, view_id, 0, CountKeys(b"\xff\xff\xff")),), ())),
            encode(CallFrame(Clocks(0, 0), (WireCall(1, view_id, 0, CountKeys(b"\xff\xff")),), ())),
            encode(CallFrame(Clocks(0, 0), (WireCall(1, view_id, 0, Holding(b"\xff\xff")),), ())),
            encode(CallFrame(Clocks(0, 0), (WireCall(1, view_id, 0, AskHolding()),) * 10, ())),
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
    """Send one frame as a node would, and take what comes, an answer or the end. It tells of which
    cluster it is: who does not, and is not understood, is let in no more."""
    stranger = "stranger.example:13800"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url_of(node, stranger, CLUSTER_DEFAULT, protocols=SPOKEN)) as socket,
    ):
        try:
            await socket.send_bytes(frame)
            await socket.receive(timeout=10)
        except OSError:
            pass
