"""Two real nodes' links, each behind a relay that can fall silent: a `Network` of real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web
from msgspec.structs import replace

from gossip.view import Address, host_of
from node.api.app import json_errors
from node.cluster_secret import Secrets, parse_cluster_secret
from node.config import CLUSTER_DEFAULT, Config
from node.net.handshake import PATH
from node.net.pool import Peers
from node.net.protocol import SPOKEN, Protocols
from node.secret_files import SecretFile
from tests.cluster import fresh_addresses
from tests.node.net.two_ends import Peer
from tests.node.tokens import write_secret
from tests.relay import Relay

FAR_PORT = 14900
"""Where a node really listens; at its address listens a `Relay`."""

TURNS = 20
"""Of the event loop, in which a reset gets through loopback to the relay."""


Secret = str | None


def secret_file(path: Path, text: str) -> SecretFile[Secrets]:
    return SecretFile("CLUSTER_SECRET_FILE", write_secret(path, text), parse_cluster_secret)


class Links:
    """Two real nodes' links, each behind a relay."""

    a: Peer
    b: Peer

    def __init__(
        self,
        directory: Path,
        clusters: tuple[str, str] = (CLUSTER_DEFAULT, CLUSTER_DEFAULT),
        secrets: tuple[Secret, Secret] = (None, None),
        protocols: tuple[Protocols, Protocols] = (SPOKEN, SPOKEN),
        **timing: float,
    ) -> None:
        """`clusters`: the names of those that each is of. `secrets`: what the file of each says, None: it has none.
        `protocols`: what each speaks. `timing`: what the configuration of both has otherwise than that of tests."""
        self._directory = directory
        self._clusters = clusters
        self._secrets = secrets
        self._protocols = protocols
        self._timing = timing
        self._relays: dict[Address, Relay] = {}
        self._runners: dict[Address, web.AppRunner] = {}

    async def open(self) -> None:
        addresses = fresh_addresses(2)
        which = zip(addresses, self._clusters, self._secrets, self._protocols, strict=True)
        self.a, self.b = [await self._make(*each) for each in which]

    async def close(self) -> None:
        for peer in (self.a, self.b):
            await self._close(peer)

    async def replace_b(self, cluster: str, secret: Secret = None, protocols: Protocols = SPOKEN) -> None:
        """A node of `cluster` takes its address."""
        await self._close(self.b)
        self.b = await self._make(self.b.address, cluster, secret, protocols)

    async def _close(self, peer: Peer) -> None:
        await self.restore(peer)
        peer.handler.go_on.set()
        await peer.transport.close()
        await self._relays[peer.address].close()
        await self._runners[peer.address].cleanup()

    def relay(self, peer: Peer) -> Relay:
        """The one in front of it."""
        return self._relays[peer.address]

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

    async def _make(self, address: Address, cluster: str, secret: Secret, protocols: Protocols) -> Peer:
        config = replace(Config.for_test(address, (address,), self._directory), cluster=cluster)
        file = None if secret is None else secret_file(self._directory / f"secret-{address}", secret)
        peers = Peers(replace(config, **self._timing), secret=file, protocols=protocols)
        peer = Peer(address, peers)
        app = web.Application(middlewares=[json_errors])
        app.router.add_get(PATH, peers.acceptor.serve)
        runner = self._runners[address] = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, host_of(address), FAR_PORT).start()
        self._relays[address] = Relay(address, f"{host_of(address)}:{FAR_PORT}")
        await self._relays[address].open()
        return peer


def peers_of(peer: Peer) -> Peers:
    assert isinstance(peer.transport, Peers)
    return peer.transport
