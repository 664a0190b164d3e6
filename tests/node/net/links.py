"""Two real nodes' links, each behind a relay that can fall silent: a `Network` of real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web
from msgspec.structs import replace

from gossip.view import Address, host_of, port_of
from node.api.app import json_errors
from node.config import CLUSTER_DEFAULT, Config
from node.net.handshake import PATH
from node.net.pool import Peers
from tests.cluster import fresh_addresses
from tests.node.net.two_ends import Peer

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

    def __init__(
        self, directory: Path, clusters: tuple[str, str] = (CLUSTER_DEFAULT, CLUSTER_DEFAULT), **timing: float
    ) -> None:
        """`clusters`: the names of those that each is of. `timing`: what the configuration of both has otherwise than
        that of tests."""
        self._directory = directory
        self._clusters = clusters
        self._timing = timing
        self._relays: dict[Address, Relay] = {}
        self._runners: dict[Address, web.AppRunner] = {}

    async def open(self) -> None:
        addresses = fresh_addresses(2)
        self.a, self.b = [await self._make(*which) for which in zip(addresses, self._clusters, strict=True)]

    async def close(self) -> None:
        for peer in (self.a, self.b):
            await self._close(peer)

    async def replace_b(self, cluster: str) -> None:
        """A node of `cluster` takes its address."""
        await self._close(self.b)
        self.b = await self._make(self.b.address, cluster)

    async def _close(self, peer: Peer) -> None:
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

    async def _make(self, address: Address, cluster: str) -> Peer:
        config = replace(Config.for_test(address, (address,), self._directory), cluster=cluster)
        peers = Peers(replace(config, **self._timing))
        peer = Peer(address, peers)
        app = web.Application(middlewares=[json_errors])
        app.router.add_get(PATH, peers.acceptor.serve)
        runner = self._runners[address] = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, host_of(address), FAR_PORT).start()
        self._relays[address] = Relay(address)
        await self._relays[address].open()
        return peer


def peers_of(peer: Peer) -> Peers:
    assert isinstance(peer.transport, Peers)
    return peer.transport
