"""A cluster of real nodes in one process: started, crashed, frozen and restarted like processes, on simulated time,
disks and links. Whatever a node commits to its disk is followed by a check of its invariants."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from gossip.view import Address, View, ViewId, decode_view, host_of
from node.config import Config
from node.errors import StorageFault
from node.node import Node
from node.storage.identity import identify
from node.storage.keys import EXPIRIES, Setting, setting_place
from node.storage.store import Store
from node.storage.transaction import EngineTransaction, Transaction
from node.values.record import decode_record
from tests.node.fakes.clocks import LoopTime
from tests.sim.disk import Disk, SimEngine
from tests.sim.drops import check_drops
from tests.sim.leases import check_leases
from tests.sim.loop import Host, VirtualLoop
from tests.sim.network import Network, Rates
from tests.sim.port import Port
from tests.sim.trace import WALL_START_MS, Trace, name_of, names_of, view_name

T = TypeVar("T")

CLIENT_S = 2.5
"""A client that has no answer by then never gets one."""
CHECK_AFTER_S = 1e-6
"""From a commit to the check of its node: when all that waited for the commit has run."""
COMMITS_PER_WALK = 64
"""Every so often a check walks the node's whole state, not only what the commit has changed."""
_VIEW = setting_place(Setting.VIEW)


class NoAnswer(Exception):
    """The node died, or was silent for longer than a client waits."""


class Machine:
    """One address: a disk that stays, and processes that come and go. `node` is None while none runs, or it still
    starts."""

    def __init__(self, cluster: Cluster, config: Config, skew_ms: int) -> None:
        self.address = config.address
        self.disk = Disk(cluster.rng)
        self.node: Node | None = None
        self.host: Host | None = None
        self.troubled_at = self.disk_troubled_at = -1e9
        """When a trouble of this machine last began or ended, and when one of its disk last ended."""
        self.lost_at = self.stood_still_until = -1e9
        """When its disk was last lost, or became older; until when its clock may seem never to have stood still."""
        self.stored_at: dict[bytes, float] = {}
        """When what is on the disk came there, by the place where it is kept."""
        self.network = cluster.network
        self.fellows: Mapping[Address, Machine] | None = None
        """The machines of its store, if they are not those of the cluster."""
        self._cluster = cluster
        self.config = config
        self.time = LoopTime(cluster.loop, cluster.rng.uniform(1, 1000), WALL_START_MS + skew_ms)
        self._engine: SimEngine | None = None
        self._port: Port | None = None
        self._clients: dict[asyncio.Future[Any], None] = {}
        self._commits = 0
        self._held = ViewId(0, 0)

    @property
    def runs(self) -> bool:
        return self.node is not None and self.host is not None and not self.host.frozen

    def is_well(self, since_s: float) -> bool:
        """Whether it has been free of trouble of its own for so long."""
        return self.runs and not self.disk.ill and self._cluster.loop.now - self.troubled_at > since_s

    def is_stuck(self, since_s: float) -> bool:
        """Whether its disk has been full, or hung, and all else been well, for so long."""
        is_stuck = self.disk.full or self.disk.hung
        return self.runs and is_stuck and self._cluster.loop.now - self.troubled_at > since_s

    def was_ill(self, since_s: float) -> bool:
        """Whether its disk was slow or full within so long."""
        return self.disk.ill or self._cluster.loop.now - self.disk_troubled_at <= since_s

    def start(self) -> None:
        assert self.host is None
        self._cluster.fault(f"{name_of(self.address)} starts")
        self.host = Host(self._cluster.loop, self.address)
        self.host.spawn(self._live(self.host))

    def crash(self) -> None:
        """As by SIGKILL."""
        assert self.host is not None
        loop = self._cluster.loop
        self._cluster.fault(f"{name_of(self.address)} is killed", self)
        self.host.kill()
        self._cluster.bury(self.host, self.node)
        if self.address in self.network.ports:
            self.network.kill(self.address)
        if self._engine is not None:
            self._engine.crash()
        for client in self._clients:
            loop.call_later(0.001, _reject, client, "connection reset", context=loop.nobody)
        self._clients.clear()
        self.host = self.node = self._engine = self._port = None

    def lose_disk(self) -> None:
        """It comes back as a new one would, under the same address and environment."""
        assert self.host is None
        self._cluster.fault(f"the disk of {name_of(self.address)} is lost", self)
        self.disk = Disk(self._cluster.rng)
        self.lost_at = self._cluster.loop.now
        self.stored_at.clear()
        self._held = ViewId(0, 0)

    def put_back(self, older: Disk) -> None:
        """It comes back with this copy that was made of its disk."""
        assert self.host is None
        self._cluster.fault(f"{name_of(self.address)} gets an older disk", self)
        self.disk, self.lost_at = older, self._cluster.loop.now
        view = older.view()
        self._held = ViewId(0, 0) if view is None else view.id

    def freeze(self) -> None:
        assert self.host is not None
        self._cluster.fault(f"{name_of(self.address)} is paused", self)
        self.host.freeze()

    def thaw(self) -> None:
        if self.host is not None and self.host.frozen:
            self._cluster.fault(f"{name_of(self.address)} goes on", self)
            self.host.thaw()

    async def ask(self, question: Callable[[Node], Coroutine[Any, Any, T]], patience_s: float = CLIENT_S) -> T:
        """What a client of this node gets. Raises NoAnswer, or what the node raises."""
        node, host, loop = self.node, self.host, self._cluster.loop
        if node is None or host is None:
            raise NoAnswer("connection refused")
        answer: asyncio.Future[T] = loop.create_future()

        async def work() -> None:
            try:
                if not node.readiness.admit():  # As the doors of a real one do.
                    raise NoAnswer("connection reset")
                result = await question(node)
            except Exception as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        host.spawn(work())
        self._clients[answer] = None
        timer = loop.call_later(patience_s, _reject, answer, "no answer in time")
        try:
            return await answer
        finally:
            timer.cancel()
            self._clients.pop(answer, None)

    async def _live(self, host: Host) -> None:
        def open_engine(
            begin: Callable[[EngineTransaction], Transaction], committed: Callable[[Transaction], None]
        ) -> SimEngine:
            self._engine = SimEngine(self.disk, begin, committed, self._committed, self.config.commit_s)
            return self._engine

        rng = random.Random(self._cluster.rng.getrandbits(64))
        store = Store(open_engine)
        port = self._port = Port(self.network, self.config, host)
        try:
            identity = await identify(store, rng, self.config.cluster, self.address)
            node = Node(self.config, self.time, rng, store, identity, port)
            await node.start()
        except StorageFault:
            self._cluster.loop.call_soon(self.crash, context=self._cluster.loop.nobody)  # It would exit with a message.
            return
        self.node = node
        self.troubled_at = self._cluster.loop.now
        port.listen()
        try:
            await node.run()
        except Exception as error:
            self._cluster.loop.failures.append(error)
            raise

    # Checks

    def _committed(
        self, transaction: Transaction, changes: Mapping[bytes, bytes | None], gone: Mapping[bytes, bytes]
    ) -> None:
        if (encoded := changes.get(_VIEW)) is not None:
            self._stored(decode_view(encoded))
        loop = self._cluster.loop
        if gone and self.node is not None:
            self._dropped(self.node, gone)
        self.stored_at.update(dict.fromkeys(changes, loop.now))
        loop.post(CHECK_AFTER_S, self._check, (self.host, tuple(transaction.stats)))

    def _stored(self, view: View) -> None:
        assert view.epoch == 0 or view.id > self._held, f"{self.address} went back from {self._held} to {view.id}"
        self._held = view.id
        self._cluster.eventful_at = self._cluster.loop.now
        if self._cluster.traced:
            nodes = names_of(sorted(view.nodes))
            self._cluster.note(f"{name_of(self.address)} has stored {view_name(view.id)}: {nodes}")
        for watcher in self._cluster.view_watchers:
            watcher(self, view)

    def _around(self) -> Mapping[Address, Machine]:
        """Those of its store."""
        return self._cluster.machines if self.fellows is None else self.fellows

    def _dropped(self, node: Node, gone: Mapping[bytes, bytes]) -> None:
        records = {place[2:]: decode_record(old) for place, old in gone.items() if place < EXPIRIES and place[2:]}
        if not records:
            return
        if not self._cluster.is_forgetful:
            check_drops(node, records, self._around(), self._cluster.loop.now)
        for watcher in list(self._cluster.drop_watchers):
            watcher(self)

    def _check(self, host: Host | None, changed: tuple[int, ...]) -> None:
        """Not of a paused node, which is in the middle of something."""
        self._commits += 1
        if host is self.host and self.runs and self.node is not None:
            assert self._port is not None
            self.node.check(None if self._commits % COMMITS_PER_WALK == 0 else changed)
            self._port.check()
            check_leases(self, self._around(), self._cluster.loop.now)


class Cluster:
    """`size` machines, the first `members` of which make up the first view, which all are told. `per_host`: so many
    after the other share a host. `timing`: in what their configuration differs from that of production.
    `environments`: the nodes that some of them are told otherwise. `disks_fail`: whether commits may fail midway."""

    def __init__(
        self,
        seed: int,
        size: int,
        members: int,
        repl_factor: int | None = None,
        rates: Rates | None = None,
        skew_ms_max: int = 0,
        trace: Trace | None = None,
        timing: Mapping[str, float] | None = None,
        environments: Mapping[Address, tuple[Address, ...]] | None = None,
        per_host: int = 1,
        disks_fail: bool = False,
    ) -> None:
        self.rng = random.Random(seed)
        self.disks_fail = disks_fail
        self.loop = VirtualLoop(random.Random(self.rng.getrandbits(64)))
        self._trace = trace
        self.network = Network(self.loop, self.rng, rates or Rates(), self.note if trace else None)
        self.view_watchers: list[Callable[[Machine, View], None]] = []
        """Told of each view that a machine has just stored, before its node knows that it has."""
        self.drop_watchers: list[Callable[[Machine], None]] = []
        """Told of each machine that has just dropped records."""
        self.is_forgetful = "tombstone_grace_s" in (timing or {})
        """Whether deletions are forgotten within the time of a run."""
        self.eventful_at = 0.0
        """When something last went wrong, or right again, or a view was stored."""
        self.clock_gap_s = 2 * skew_ms_max / 1000
        self._parted_at: dict[frozenset[Address], float] = {}
        """When a cut between two last began or ended."""
        self._graveyard: list[object] = []
        addresses = [f"n{number // per_host + 1}:{number % per_host + 1}" for number in range(size)]
        view = tuple(addresses[:members])
        self.machines = {
            address: Machine(
                self,
                replace(
                    Config(
                        address=address,
                        view=(environments or {}).get(address, view),
                        data_dir=Path("/nowhere"),
                        repl_factor=repl_factor,
                    ),
                    **(timing or {}),
                ),
                self.rng.randint(-skew_ms_max, skew_ms_max),
            )
            for address in addresses
        }

    @property
    def config(self) -> Config:
        """That of any of them, but for its address and environment."""
        return next(iter(self.machines.values())).config

    @property
    def traced(self) -> bool:
        return self._trace is not None

    def hosts(self) -> list[list[Machine]]:
        return [list(machines) for _, machines in groupby(self.machines.values(), lambda one: host_of(one.address))]

    def note(self, text: str, mark: str = "  ") -> None:
        if self._trace is not None:
            self._trace(f"{self.loop.now:10.6f} {mark} {text}")

    def fault(self, text: str, *troubled: Machine) -> None:
        """Something goes wrong with these machines, or right again."""
        self.note(text, "!!")
        self.eventful_at = self.loop.now
        for machine in troubled:
            machine.troubled_at = self.loop.now

    def bury(self, *what: object) -> None:
        """Keep what a killed process leaves, lest its coroutines be finalized in the middle of the run."""
        self._graveyard.append((what, asyncio.all_tasks(self.loop)))

    def cut(self, one: Address, other: Address, both_ways: bool = True) -> None:
        way = "<>" if both_ways else "->"
        self.fault(f"cut {name_of(one)} {way} {name_of(other)}")
        self._parted_at[frozenset((one, other))] = self.loop.now
        self.network.cuts.add((one, other))
        if both_ways:
            self.network.cuts.add((other, one))

    def mend(self, one: Address, other: Address) -> None:
        self.network.cuts -= {(one, other), (other, one)}
        self.fault(f"cut {name_of(one)} | {name_of(other)} ends")
        self._parted_at[frozenset((one, other))] = self.loop.now

    def heal(self) -> None:
        for one, other in sorted(self.network.cuts):
            self.mend(one, other)

    def is_cut(self, since_s: float) -> bool:
        """Whether there was a cut anywhere within so long."""
        return bool(self.network.cuts) or any(self.loop.now - at <= since_s for at in self._parted_at.values())

    def is_joined(self, one: Address, other: Address, since_s: float) -> bool:
        """Whether nothing has come between two machines for so long."""
        joined_s = self.loop.now - self._parted_at.get(frozenset((one, other)), -1e9)
        return not {(one, other), (other, one)} & self.network.cuts and joined_s > since_s


def _reject(client: asyncio.Future[Any], why: str) -> None:
    if not client.done():
        client.set_exception(NoAnswer(why))
