"""The real links: the contract of all transports, and what only sockets can show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gossip.view import Address, host_of, port_of
from node.api.app import json_errors
from node.config import Config
from node.errors import PeerFault, PeerLost, PeerRefused
from node.net import dialer as node_links
from node.net import pool as peers
from node.net.frames import Call, CallFrame, decode_replies, encode
from node.net.messages import Read, ReadResult
from node.net.pool import Peers
from node.timing.clock import Clocks, SystemTime
from tests.cluster import fresh_addresses
from tests.node.net.transport_contract import PATIENT_S, SHORT_S, STAMP, Peer, TransportContract, arrived

FAR_PORT = 14900
"""Where a node really listens; at its address listens a `Relay`."""

TURNS = 20
"""Of the event loop, in which a reset gets through loopback to the relay."""


class Relay:
    """A TCP relay in front of a node, which can stop passing anything on."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.passing = asyncio.Event()
        self.passing.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, host_of(self.address), port_of(self.address))

    async def close(self) -> None:
        """Reset all connections, and take no more."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            await self.passing.wait()
            far_reader, far = await asyncio.open_connection(host_of(self.address), FAR_PORT)
            ways = [asyncio.create_task(self._pass(reader, far)), asyncio.create_task(self._pass(far_reader, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()
            self._connections.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.passing.wait()
            if reader.exception() is not None:
                return
            writer.write(data)
            await writer.drain()


class Links:
    """Two real nodes' links, each behind a relay."""

    a: Peer
    b: Peer

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._relays: dict[Address, Relay] = {}
        self._runners: dict[Address, web.AppRunner] = {}

    async def open(self) -> None:
        self.a, self.b = [await self._make(address) for address in fresh_addresses(2)]

    async def close(self) -> None:
        for peer in (self.a, self.b):
            await self.restore(peer)
            peer.handler.go_on.set()
            await peer.transport.close()
            await self._relays[peer.address].close()
            await self._runners[peer.address].cleanup()

    def silence(self, peer: Peer) -> None:
        self._relays[peer.address].passing.clear()

    async def restore(self, peer: Peer) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self._relays[peer.address].passing.set()

    async def kill(self, peer: Peer) -> None:
        await self._relays[peer.address].close()

    async def revive(self, peer: Peer) -> None:
        await self._relays[peer.address].open()

    async def _make(self, address: Address) -> Peer:
        links = Peers(Config.for_test(address, (address,), self._directory), SystemTime())
        peer = Peer(address, links)
        app = web.Application(middlewares=[json_errors])
        app.router.add_get(peers.PATH, links.serve)
        runner = self._runners[address] = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, host_of(address), FAR_PORT).start()
        self._relays[address] = Relay(address)
        await self._relays[address].open()
        return peer


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Links]:
    links = Links(tmp_path)
    await links.open()
    yield links
    await links.close()


class TestPeers(TransportContract):
    pass


async def test_peers_too_many_waiting_refused(network: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_links, "PENDING_MAX", 5)
    network.b.handler.go_on.clear()
    waiting = [asyncio.create_task(network.a.ask(network.b, b"%d" % number)) for number in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(PeerRefused):
        await network.a.ask(network.b, b"one more")
    await arrived(network.b, b"4")
    network.b.handler.go_on.set()
    assert await asyncio.gather(*waiting) == [ReadResult(b"%d" % number) for number in range(5)]
    assert b"one more" not in network.b.handler.keys


@pytest.mark.parametrize("query", ["?from=a:1", "?from=a:1&to=elsewhere:1"])
async def test_peers_misdirected_link_refused(network: Links, query: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{network.b.address}{peers.PATH}{query}")
    assert caught.value.status == 421


@pytest.mark.parametrize("sender", ["", "nonsense", "a:1,b:1", "a:99999"])
async def test_peers_nameless_sender_refused(network: Links, sender: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{network.b.address}{peers.PATH}?from={sender}&to={network.b.address}")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00", b"\xc1" * 100, encode([2**64 - 1, [], []]), encode([0, [[1, [0, 0], 0, [99]]], []])]
)
async def test_peers_garbage_frame_ends_that_link_alone(network: Links, garbage: bytes) -> None:
    await network.a.ask(network.b, b"before")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{network.b.address}{peers.PATH}?from=x:1&to={network.b.address}") as socket,
    ):
        await socket.send_bytes(garbage)
        async with asyncio.timeout(PATIENT_S):
            assert (await socket.receive()).type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.ERROR,
            )
    assert await network.a.ask(network.b, b"after") == ReadResult(b"after")
    assert network.b.clock.reading < 2**63


async def test_peers_text_frame_ends_that_link_alone(network: Links) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{network.b.address}{peers.PATH}?from=x:1&to={network.b.address}") as socket,
    ):
        await socket.send_str("hello")
        async with asyncio.timeout(PATIENT_S):
            assert (await socket.receive()).type is not aiohttp.WSMsgType.BINARY
    assert await network.a.ask(network.b, b"after") == ReadResult(b"after")


async def test_peers_calls_of_one_turn_share_a_frame(network: Links) -> None:
    """Answers to one frame's calls are numbered as the calls were, so a client of ours may batch as it likes."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{network.b.address}{peers.PATH}?from=x:1&to={network.b.address}") as socket,
    ):
        calls = tuple(Call(number, STAMP, 1000, Read(b"%d" % number)) for number in range(100))
        await socket.send_bytes(encode(CallFrame(Clocks(0, 0), calls, ())))
        replies = decode_replies(await socket.receive_bytes(timeout=PATIENT_S)).replies
        assert [(reply.id, reply.answer) for reply in replies] == [(n, ReadResult(b"%d" % n)) for n in range(100)]


async def test_peers_drain_ends_though_a_caller_went_away(network: Links) -> None:
    network.b.handler.go_on.clear()
    with pytest.raises(PeerFault):
        await network.a.ask(network.b, b"slow", SHORT_S)
    async with asyncio.timeout(PATIENT_S):
        await network.b.transport.drain()  # type: ignore[attr-defined]


async def test_peers_links_that_nobody_wants_any_more_are_closed(
    network: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    await network.a.ask(network.b, b"before")
    monkeypatch.setattr(peers, "UNWANTED_S", -1.0)
    with pytest.raises(PeerFault):
        await network.a.transport.call(fresh_addresses(1)[0], Read(b"elsewhere"), STAMP, SHORT_S)
    assert network.b.address not in {to for to, _ in network.a.transport._links}  # type: ignore[attr-defined]
    assert await network.a.ask(network.b, b"after") == ReadResult(b"after")


@pytest.mark.parametrize("sent", [True, False])
async def test_links_deadline_overdue_at_a_reset_says_nothing_about_the_peer(network: Links, sent: bool) -> None:
    """A node that was paused would take it for down, and serve without having asked it."""
    network.b.handler.go_on.clear()
    if not sent:
        network.silence(network.b)
    call = asyncio.create_task(network.a.ask(network.b, b"k", SHORT_S))
    if sent:
        await arrived(network.b, b"k")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.001, network.a.transport.reset)
    time.sleep(2 * SHORT_S)  # noqa: ASYNC251  This process stands still; then both timers fire in one turn.
    with pytest.raises(PeerLost):
        await call
    assert not network.a.transport.is_down(network.b.address)
