"""One real node on a simulated disk, on virtual time, among peers that answer from a script."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from gossip.view import Address
from node.config import Config
from node.net.messages import Fetch
from node.node import Node
from node.storage.identity import identify, note_filled
from node.storage.store import Store
from node.values.record import Record
from ring.hashing import partition_of
from tests.node.fakes.clocks import LoopTime
from tests.node.fakes.peers import ScriptedPeers
from tests.node.parts import running, store_on
from tests.sim.disk import Disk

A, B, C = "a:1", "b:1", "c:1"


class Lone(NamedTuple):
    node: Node
    store: Store
    peers: ScriptedPeers
    time: LoopTime

    def deadline(self) -> float:
        return self.time.monotonic() + 1.0

    async def hold(self, key: bytes, record: Record) -> None:
        await self.store.merge(self.node.views.view_id, [(partition_of(key), key, record.encode())])

    def fetched_from(self) -> list[Address]:
        return [to for to, request in self.peers.asked if isinstance(request, Fetch)]


@asynccontextmanager
async def lone_owner(
    *others: Address, disk: Disk | None = None, runs: bool = False, zone: str = ""
) -> AsyncIterator[Lone]:
    """The node A, co-owner of all keys with `others`; `runs`: it sends heartbeats, streams, compares and
    announces. A `disk` that is given outlives it."""
    time, peers, rng = LoopTime(), ScriptedPeers(), random.Random(1)
    config = replace(Config.for_test(A, (A, *others), Path("/nowhere"), len(others) + 1), zone=zone)
    with closing(store_on(disk or Disk(rng))) as store:
        await identify(store, rng, config.cluster, config.address)
        await note_filled(store)  # It has been here before: what it does not hold, it has not lost.
        node = Node(config, time, rng, store, await identify(store, rng, config.cluster, config.address), peers)
        await node.start()
        async with running(*([node.run()] if runs else [node.readiness.run(), node.streams.run()])):
            assert await node.readiness.wait_until_ready(time.monotonic() + config.silence_s)
            yield Lone(node, store, peers, time)
