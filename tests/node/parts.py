"""The parts of one node, A, put together on virtual time, a simulated disk and peers that answer from a script.

Nothing of them runs by itself: a test starts what it is about, and only that.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec

from gossip.view import Address
from node.config import Config
from node.net.messages import Request
from node.operations.batching import Batching
from node.operations.owner import Owner
from node.operations.router import Router
from node.operations.routing import Routing
from node.operations.shard_inquiry import ShardInquiry
from node.repair.arrivals import Arrivals
from node.repair.handoff import Handoff
from node.repair.movement import Movement
from node.repair.transfer import Transfers
from node.replication.co_owner_tasks import CoOwnerTasks
from node.replication.co_owners import CoOwners
from node.replication.heartbeats import Heartbeats
from node.replication.streams import Streams
from node.storage.store import Store
from node.timing.clock import HybridClock
from node.values.donors import DonorsChange, Kind
from node.values.record import Record
from node.values.version import make_version
from node.views.calls import Calls
from node.views.confirming import Confirming
from node.views.holder import Views
from ring.hashing import partition_of
from tests.node.fakes.clocks import ClockMemory, LoopTime
from tests.node.fakes.peers import CoOwner, ScriptedPeers
from tests.node.fakes.readiness import HandReadiness
from tests.node.samples import Row, shares_of
from tests.sim.disk import Disk, SimEngine
from tests.sim.loop import VirtualLoop

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
STORE_ID = 1

P = ParamSpec("P")


def on_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test in which waiting takes no time: the clock jumps to whatever happens next."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        VirtualLoop(random.Random(test.__name__)).run(test(*args, **kwargs))

    return run


def store_on(disk: Disk) -> Store:
    return Store(functools.partial(SimEngine, disk))


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Meanwhile, `works` run. Raises what one of them has raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


class Parts:
    """Needs a running loop. `view` are the nodes that A's environment names."""

    def __init__(self, *view: Address, repl_factor: int | None = None, is_filled: bool = True) -> None:
        config = self.config = Config.for_test(A, view, Path("/nowhere"), repl_factor)
        time = self.time = LoopTime()
        peers = self.peers = ScriptedPeers()
        readiness = self.readiness = HandReadiness(self._was_paused)
        self.disk = Disk(random.Random(1))
        store = self.store = store_on(self.disk)
        views = self.views = Views(config, store, time, self._view_changed)
        calls = self.calls = Calls(config, time, views, peers)
        co_owners = self.co_owners = CoOwners(config, time, views, is_filled, calls)
        co_owner_tasks = self.co_owner_tasks = CoOwnerTasks(co_owners)
        streams = self.streams = Streams(config, time, store, views, co_owners, co_owner_tasks, calls)
        store.attach(lambda committed: streams.spread(committed.news))
        self.heartbeats = Heartbeats(
            config, time, STORE_ID, store, readiness, co_owners, co_owner_tasks, streams, calls
        )
        memory = ClockMemory()
        self.clock = HybridClock(config, time, STORE_ID, memory.memory, memory.remember)
        confirming = self.confirming = Confirming(config, views, calls)
        self.owner = Owner(
            config,
            time,
            self.clock,
            store,
            views,
            readiness,
            co_owners,
            streams,
            calls,
            confirming,
            time.wall_ms,
        )
        routing = Routing(config, time, views, readiness, calls, peers)
        self.router = Router(
            config,
            time,
            self.clock,
            views,
            readiness,
            self.owner,
            lambda context: context,
            calls,
            routing,
            time.wall_ms,
        )
        self.batching = Batching(config, self.clock, views, readiness, self.owner, calls, routing, self.router)
        movement = self.movement = Movement(time)
        self.transfers = Transfers(config, time, store, calls, lambda: False, co_owners.may_lack, movement)
        self.arrivals = Arrivals(config, time, store, views, streams, lambda: False, movement)
        self.handoff = Handoff(
            config,
            store,
            views,
            co_owners,
            streams,
            calls,
            self.transfers,
            self.arrivals,
            movement,
            time,
            time.wall_ms,
        )

    def shard_inquiry(self) -> ShardInquiry:
        return ShardInquiry(self.config, self.time, self.store, self.views, self.readiness, self.co_owners, self.calls)

    def _was_paused(self, is_long: bool) -> None:
        self.co_owners.drop_leases()

    def _view_changed(self) -> None:
        self.movement.note()
        self.streams.change_view()
        self.owner.change_view()
        self.handoff.wake()

    # What a test looks at

    @property
    def deadline(self) -> float:
        return self.time.monotonic() + self.config.request_s

    def key_of(self, *owners: Address) -> bytes:
        return next(self.keys_of(*owners))

    def keys_of(self, *owners: Address) -> Iterator[bytes]:
        """Keys that just these nodes own."""
        owners_of = self.views.ring.owners
        return (key for key in (b"k%d" % n for n in range(10_000)) if {*owners_of(partition_of(key))} == {*owners})

    def own_keys(self, count: int) -> list[bytes]:
        """Keys that A owns, in as many partitions, ascending."""
        found: dict[int, bytes] = {}
        for key in (b"k%d" % n for n in range(10_000)):
            if self.views.ring.owns(A, partition_of(key)):
                found.setdefault(partition_of(key), key)
        return [found[partition] for partition in sorted(found)[:count]]

    def foreign_key(self) -> bytes:
        """One that A does not own."""
        return next(key for key in (b"k%d" % n for n in range(100)) if not self.views.ring.owns(A, partition_of(key)))

    def held(self, key: bytes) -> Record | None:
        return self.store.get(partition_of(key), key)

    def asked(self, kind: type[Request] | Any) -> list[tuple[Address, Any]]:
        return [(to, request) for to, request in self.peers.asked if isinstance(request, kind)]

    # What a test brings about

    async def keep(self, *records: tuple[bytes, Record]) -> None:
        """Put records on the disk, of which no co-owner is told."""
        items = [(partition_of(key), key, record.encode()) for key, record in records]
        await self.store.merge(self.views.view_id, items, exclude=None)

    async def change(self, key: bytes, clock: int = 5) -> None:
        """Put a record on the disk, of which every co-owner has yet to hear."""
        await self.store.merge(self.views.view_id, [(partition_of(key), key, record(clock).encode())])

    def wait_for(self, donor: Address, key: bytes, kind: Kind = Kind.ALONE) -> None:
        self.views.donors.change(DonorsChange(put=shares_of(Row(partition_of(key), donor, kind))))

    async def wait_durably(self, *rows: Row) -> None:
        change = DonorsChange(put=shares_of(*rows))
        await self.store.change_donors(self.views.view_id, change)
        self.views.donors.change(change)

    def co_owner(self, peer: Address, *held: tuple[bytes, Record]) -> CoOwner:
        """From now on, `peer` answers as one."""
        answering = self.peers.script[peer] = CoOwner(*held)
        return answering

    def compare(self, *peers: Address) -> None:
        """They have been brought all that is here."""
        for peer in peers:
            state = self.streams.begin_comparison(peer)
            assert state is not None
            self.streams.end_comparison(state, has_arrived=True)

    def running(self, *works: Coroutine[Any, Any, None]) -> AbstractAsyncContextManager[None]:
        """Meanwhile, `works` run; by default heartbeats and streams."""
        return running(*works or [self.heartbeats.run(), self.streams.run()])


async def node_a(*view: Address, repl_factor: int | None = None, is_filled: bool = True) -> Parts:
    parts = Parts(*view, repl_factor=repl_factor, is_filled=is_filled)
    await parts.views.start()
    return parts


def record(clock: int, value: bytes | None = b"1", store_id: int = 9) -> Record:
    return Record(make_version(clock << 16, store_id), value, replaced=False)
