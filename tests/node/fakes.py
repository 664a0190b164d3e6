"""Stand-ins for what a node gets from outside: a clock that is set by hand, and peers that answer from a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import gossip.messages
from gossip.view import Address, Stamp, View
from node.clock import HybridClock
from node.disk import open_engine
from node.errors import PeerRefused
from node.store import Store
from node.transport import Handler
from node.wire import Answer, Request
from ring.placement import Placement, next_placement

MIB = 1024 * 1024


class HandTime:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)


class ScriptedPeers:
    """A transport whose peers answer from `script`; those not in it refuse the connection. Keeps what was asked of
    whom."""

    def __init__(self) -> None:
        self.script: dict[Address, Callable[[Request], Answer]] = {}
        self.asked: list[tuple[Address, Request]] = []
        self.resets = 0

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        pass

    async def call(self, to: Address, request: Request, stamp: Stamp, timeout_s: float, bulk: bool = False) -> Answer:
        self.asked.append((to, request))
        if to not in self.script:
            raise PeerRefused(f"{to} is down")
        return self.script[to](request)

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        pass

    def is_down(self, to: Address) -> bool:
        return to not in self.script

    def reset(self) -> None:
        self.resets += 1

    async def close(self) -> None:
        pass


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[Store]:
    store = Store(open_engine(path, asyncio.get_running_loop(), map_bytes_first=16 * MIB))
    try:
        yield store
    finally:
        store.close()


def successor(old: View, *nodes: Address, coordinator: Address = "c:1", epoch: int | None = None) -> View:
    """A view of `nodes` built on `old`, without donors."""
    placement = next_placement(Placement(old.shards, old.table), nodes, old.repl_factor)
    return View(
        old.lineage_of_successor,
        old.epoch + 1 if epoch is None else epoch,
        old.stamp,
        coordinator,
        old.repl_factor,
        placement.shards,
        placement.table,
        (),
    )
