"""One real node among peers that answer from a script, by a clock that moves only when told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from gossip.view import Address
from node.config import Config
from node.identity import identify
from node.node import Node
from node.records import Record, make_version
from node.store import Store
from node.wire import Answer, Beat, Beaten, Compare, Differing, Fetch, Fetched, Push, Replicate, Request, Taken, Unable
from ring.hashing import partition_of
from tests.node.fakes import HandTime, ScriptedPeers, open_store

A, B, C = "a:1", "b:1", "c:1"
PATIENCE_S = 10.0


class CoOwner:
    """A peer that takes whatever it is brought, and holds `records`."""

    def __init__(self, **records: Record) -> None:
        self.records = {key.encode(): record for key, record in records.items()}

    def __call__(self, request: Request) -> Answer:
        match request:
            case Fetch(key):
                return Fetched(self.records[key].encode() if key in self.records else None)
            case Beat():
                return Beaten(True, False)
            case Compare():
                return Differing(b"", b"")
            case Replicate() | Push():
                return Taken()
        return Unable()


class Lone(NamedTuple):
    node: Node
    store: Store
    peers: ScriptedPeers
    time: HandTime

    def deadline(self) -> float:
        return self.time.monotonic() + 1.0

    async def hold(self, key: bytes, record: Record) -> None:
        await self.store.merge(self.node.views.stamp, [(partition_of(key), key, record)])

    def fetched_from(self) -> list[Address]:
        return [to for to, request in self.peers.asked if isinstance(request, Fetch)]

    async def pass_time(self, seconds: float) -> None:
        """In steps that are no standstill."""
        for _ in range(round(seconds / 0.25)):
            self.time.now += 0.25
            self.node.gate.is_open()
            await asyncio.sleep(0.002)

    def record(self, clock: int, value: bytes | None = b"1", context: bytes = b"") -> Record:
        """One that was stamped `clock` ms after the time began."""
        return Record(make_version((1_000_000 + clock) << 16, 9), value, False, context)


@asynccontextmanager
async def lone_owner(path: Path, *others: Address, runs: bool = False) -> AsyncIterator[Lone]:
    """The node A, co-owner of all keys with `others`; `runs`: it beats, streams, compares and announces."""
    time, peers = HandTime(), ScriptedPeers()
    config = Config(
        address=A,
        view=(A, *others),
        repl_factor=len(others) + 1,
        data_dir=path,
        stable_every_s=0.002,
        handoff_retry_s=0.002,
        beat_s=0.002,
    )
    async with open_store(path) as store:
        rng = random.Random(1)
        node = Node(config, time, rng, store, await identify(store, rng), peers)
        await node.start()
        parts = [node.gate.run()]
        if runs:
            parts += [node.pairs.run(), node.streams.run(), node.sync.run(), node.stability.run()]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            assert await node.gate.opened(time.monotonic() + PATIENCE_S)
            yield Lone(node, store, peers, time)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
