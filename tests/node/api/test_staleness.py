"""What clients have sent too long ago is not executed: their connections are reset instead."""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial

import pytest

from gossip.view import host_of, port_of
from node.api.staleness import Staleness, socket_of
from node.errors import Unavailable
from node.node import Node
from tests.cluster import Client, Cluster, eventually, fresh_addresses
from tests.node.fakes.readiness import HandReadiness

SHORT_WAY = b'PUT /kvs/keys/late HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n{"value":1}'
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


@pytest.mark.parametrize("request_", [SHORT_WAY, LONG_WAY, SHORT_WAY[:30]], ids=["short way", "aiohttp", "in part"])
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
    readiness = HandReadiness(lambda: None)
    readiness.admits = False
    staleness = Staleness(readiness, 1000.0)
    link = b"GET /peer?from=b:1&to=a:1 HTTP/1.1\r\n"
    assert staleness.admit(link, None) and not staleness.admit(SHORT_WAY, None)
    assert not staleness.admit_more(link, None), "it is in the middle of a value"


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
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.found.set_result(not self.staleness.admit(data, socket_of(self.transport)))


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel tells only on Linux")
@pytest.mark.parametrize(
    ("request_", "late_s", "late"),
    [
        (SHORT_WAY, 0.1, True),
        (b"DELETE /kvs/keys/late HTTP/1.1\r\n", 0.1, True),
        (b"GET /kvs/keys/late HTTP/1.1\r\n", 0.1, False),
        (SHORT_WAY, 1000.0, False),
    ],
    ids=["put", "delete", "a read is never late", "in time"],
)
async def test_late_is_what_waited_for_long_to_be_read_though_nothing_was_paused(
    request_: bytes, late_s: float, late: bool
) -> None:
    door = Door(Staleness(HandReadiness(), late_s))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: door, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(request_)
    kept_from_running(WAITS_S)
    async with asyncio.timeout(5):
        assert await door.found == late
    writer.close()
    server.close()
