"""What decides about views in a node A whose environment names A and B, on a clock set by hand and among peers that
answer from a script."""

from __future__ import annotations

from pathlib import Path

from gossip.view import Address, View, ViewId
from node.config import Config
from node.storage.store import Store
from node.values.version import make_version
from node.views.calls import Calls
from node.views.holder import Views
from node.views.rules import environment_view
from ring.hashing import partition_of
from tests.node.fakes.clocks import HandTime
from tests.node.fakes.peers import ScriptedPeers

A, B, C, D = "a:1", "b:1", "c:1", "d:1"


class Bench:
    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.time = HandTime()
        self.peers = ScriptedPeers()
        self.told: list[ViewId] = []
        """The view that was visible, at each change of it."""
        self.views = Views(config, store, self.time, lambda: self.told.append(self.views.view_id))
        self.calls = Calls(config, self.time, self.views, self.peers)

    async def put(self, key: bytes) -> None:
        version = make_version(1, 1)
        await self.store.write(self.views.view_id, partition_of(key), key, version, b"1")


def environment(*nodes: Address, repl_factor: int | None = None) -> View:
    return environment_view(Config.for_test(nodes[0], nodes, Path("/nowhere"), repl_factor))
