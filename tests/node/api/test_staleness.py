"""What clients have sent too long ago is not executed: their connections are reset instead."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from gossip.view import host_of, port_of
from node.api.staleness import Inlet, Staleness
from node.errors import Unavailable
from node.node import Node
from node.timing.turns import Turns
from tests.cluster import Client, Cluster, eventually, fresh_addresses
from tests.node.fakes.readiness import HandReadiness

SHORT_WAY = b'PUT /kvs/keys/late HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n{"value":1}'
BATCH = b'POST /kvs/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n{"op":"put","key":"late","value":1}'
LONG_WAY = SHORT_WAY.replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n")


def pause(node: Node) -> None:
    """As if it had not run for so long that its clients have given up."""
    node.readiness._pauses._ran_at -= node.config.late_s + 0.1


async def is_cut_off(reader: asyncio.StreamReader) -> bool:
    """Whether the connection ends without an answer."""
    try:
        async with asyncio.timeout(5):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "request_", [SHORT_WAY, LONG_WAY, SHORT_WAY[:30], BATCH], ids=["short way", "aiohttp", "in part", "batch"]
)
async def test_late_request_is_not_executed_and_its_client_reset(
    cluster: Cluster, http: Client, request_: bytes
) -> None:
    (address,) = fresh_addresses(1)
    node = await cluster.start(address, [address])
    assert (await http.put(address, "before", 1)).status == 201
    reader, writer = await asyncio.open_connection(host_of(address), port_of(address))
    writer.write(request_)
    pause(node)
    assert await is_cut_off(reader)
    writer.close()
    reply = await eventually(partial(http.get, address, "late"))
    assert reply.status == 404
    assert (await http.put(address, "after", 1)).status == 201


async def test_late_half_of_a_request_is_not_executed_by_aiohttp(cluster: Cluster, http: Client) -> None:
    """The first half came in time."""
    (address,) = fresh_addresses(1)
    node = await cluster.start(address, [address])
    reader, writer = await asyncio.open_connection(host_of(address), port_of(address))
    writer.write(LONG_WAY[:-5])
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        await reader.readline()
    writer.write(LONG_WAY[-5:])
    pause(node)
    assert await is_cut_off(reader)
    writer.close()
    assert (await eventually(partial(http.get, address, "late"))).status == 404


async def test_late_links_of_other_nodes_are_made_anew(cluster: Cluster, http: Client) -> None:
    nodes = fresh_addresses(2)
    await cluster.start_all(nodes, repl_factor=2)
    assert (await http.put(nodes[0], "k", 1)).status == 201
    pause(cluster.nodes[nodes[0]])
    for node in nodes:
        assert (await eventually(partial(http.put, node, "k", 2))).status == 200
        assert (await eventually(partial(http.get, node, "k"))).json["value"] == 2
    digests = [(await http.ask(node, "GET", "/kvs/status")).json["data-digest"] for node in nodes]
    assert digests[0] == digests[1] and len(digests[0]) == 16


async def test_late_write_that_was_read_but_not_begun_is_not_executed(cluster: Cluster, http: Client) -> None:
    (address,) = fresh_addresses(1)
    node = await cluster.start(address, [address])
    assert (await http.put(address, "before", 1)).status == 201
    pause(node)
    with pytest.raises(Unavailable):
        await node.router.write(b"late", b"1")
    reply = await eventually(partial(http.get, address, "late"))
    assert reply.status == 404


async def test_late_is_no_link_of_another_node_but_what_only_looks_like_one_may_be() -> None:
    readiness = HandReadiness()
    readiness.admits = False
    turns = Turns(3600.0, time.monotonic)
    staleness, inlet = Staleness(readiness, turns, time.monotonic, 1000.0), Inlet(asyncio.Transport(), 0.0)
    link = b"GET /peer?from=b:1&to=a:1 HTTP/1.1\r\n"
    assert staleness.admit(link, inlet) and not staleness.admit(SHORT_WAY, inlet)
    assert not staleness.admit_more(link, inlet), "it is in the middle of a value"
    turns.close()


WAITS_S = 0.2


def kept_from_running(seconds: float) -> None:
    """Nothing of this process runs meanwhile; the kernel does."""
    time.sleep(seconds)


class Door(asyncio.Protocol):
    """Notes whether what a client has sent is late."""

    def __init__(self, staleness: Staleness) -> None:
        self.staleness = staleness
        self.found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.inlet = self.staleness.inlet(transport)

    def data_received(self, data: bytes) -> None:
        self.found.set_result(not self.staleness.admit(data, self.inlet))


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    turns = Turns(0.01, time.monotonic)
    yield turns
    turns.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel tells only on Linux")
@pytest.mark.parametrize(
    ("request_", "late_s", "late"),
    [
        (SHORT_WAY, 0.1, True),
        (b"DELETE /kvs/keys/late HTTP/1.1\r\n", 0.1, True),
        (BATCH, 0.1, True),
        (b"GET /kvs/keys/late HTTP/1.1\r\n", 0.1, False),
        (SHORT_WAY, 1000.0, False),
    ],
    ids=["put", "delete", "batch", "a read is never late", "in time"],
)
@pytest.mark.parametrize("is_old", [False, True], ids=["new connection", "old connection"])
async def test_late_is_what_waited_for_long_to_be_read_though_nothing_was_paused(
    turns: Turns, request_: bytes, late_s: float, late: bool, is_old: bool
) -> None:
    door = Door(Staleness(HandReadiness(), turns, time.monotonic, late_s))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: door, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

    async def was_read_by_then() -> bool:
        return hasattr(door, "inlet") and door.inlet.read_since < turns.delivered_until

    if is_old:
        await eventually(was_read_by_then, "two ticks have passed")
    writer.write(request_)
    kept_from_running(WAITS_S)
    async with asyncio.timeout(5):
        assert await door.found == late
    writer.close()
    server.close()


class Asked:
    """A connection of which the kernel says that its last bytes are as old as can be; counts how often it is asked."""

    def __init__(self) -> None:
        self.questions = 0

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        self.questions += 1
        return b"\xff" * size

    def get_extra_info(self, name: str) -> Asked:
        assert name == "socket"
        return self


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel tells only on Linux")
async def test_late_the_kernel_is_asked_only_if_the_turns_of_the_loop_leave_it_open() -> None:
    now = 100.0
    turns, asked = Turns(3600.0, lambda: now), Asked()
    staleness = Staleness(HandReadiness(), turns, lambda: now, late_s=1.0)
    inlet = staleness.inlet(asked)  # type: ignore[arg-type]
    assert not staleness.admit(SHORT_WAY, inlet), "it may have waited to be accepted"
    now = 100.1
    turns._tick()
    assert not staleness.admit(SHORT_WAY, inlet), "all that is known is when the connection was first read"
    now = 100.2
    turns._tick()
    asked.questions = 0
    assert staleness.admit(SHORT_WAY, inlet) and asked.questions == 0, "it has come within the last two ticks"
    now = 101.2
    assert not staleness.admit(SHORT_WAY, inlet), "the turns have become long"
    now = 101.05
    assert staleness.admit(SHORT_WAY, inlet)
    inlet.resume(now)
    assert not staleness.admit(SHORT_WAY, inlet), "it was not read for a while"
    turns.close()
