"""Stand-ins for what a node gets from outside: a clock that is set by hand, and peers that answer from a script."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import gossip.messages
from gossip.view import Address, View, ViewId
from node.config import Config
from node.errors import PeerLost, PeerRefused
from node.net.messages import Answer, Request
from node.net.transport import Answering, Handler
from node.storage.lmdb_engine import open_engine
from node.storage.store import Store
from node.timing.clock import HybridClock
from node.values.donors import Kind, Share
from ring.placement import Placement, next_placement
from ring.sets import partitions_in

MIB = 1024 * 1024
CONFIG = Config.for_test("a:1", ("a:1",), Path("/nowhere"))
"""For parts that need no node around them."""
JOBS_S_MAX = CONFIG.jobs_s_max


class Row(NamedTuple):
    """What a list of donors says, one partition at a time."""

    partition: int
    donor: Address
    kind: Kind


def shares_of(*rows: Row) -> dict[Address, Share]:
    shares: dict[Address, Share] = {}
    for partition, donor, kind in rows:
        row = Share(*(1 << partition if kind is kind_ else 0 for kind_ in Kind))
        shares[donor] = shares.get(donor, Share()).joined(row)
    return shares


def rows_of(shares: Mapping[Address, Share]) -> list[Row]:
    """The reverse, in order."""
    return sorted(
        Row(partition, donor, kind)
        for donor, share in shares.items()
        for kind, held in zip(Kind, share, strict=True)
        for partition in partitions_in(held)
    )


class HandTime:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)


class ScriptedPeers:
    """A transport whose peers answer from `script`, at once or in a while; those not in it refuse the connection, and
    those of `silent` let their callers wait until they take them for down. Keeps what was asked of whom."""

    def __init__(self) -> None:
        self.script: dict[Address, Callable[[Request], Answering]] = {}
        self.silent: set[Address] = set()
        self.found_silent: set[Address] = set()
        self.asked: list[tuple[Address, Request]] = []
        self.attempts: list[Address] = []
        """Who was asked by calls that say nothing about it if they are not answered in time."""
        self.resets = 0

    def attach(self, clock: HybridClock, handler: Handler) -> None:
        pass

    async def call(
        self,
        to: Address,
        request: Request,
        view_id: ViewId,
        timeout_s: float,
        bulk: bool = False,
        attempt: bool = False,
    ) -> Answer:
        self.asked.append((to, request))
        if attempt:
            self.attempts.append(to)
        if self.is_down(to):
            raise PeerRefused(f"{to} is down")
        if to in self.silent:
            await asyncio.sleep(timeout_s)
            self.found_silent.add(to)
            raise PeerLost(f"{to} is silent")
        answer = self.script[to](request)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer if inspect.isawaitable(answer) else answer
        except TimeoutError:
            raise PeerLost(f"{to} is too late") from None

    def cast(self, to: Address, message: gossip.messages.Message) -> None:
        pass

    def is_down(self, to: Address) -> bool:
        return to not in self.script if to not in self.silent else to in self.found_silent

    def reset(self) -> None:
        self.resets += 1

    async def close(self) -> None:
        pass


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[Store]:
    store = Store(open_engine(path, asyncio.get_running_loop(), JOBS_S_MAX, 16 * MIB))
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
        old.id,
        coordinator,
        old.repl_factor,
        placement.shards,
        placement.table,
        (),
    )
