"""A cluster of real nodes in one process: started, crashed, frozen and restarted like processes, on simulated time,
disks and links."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gossip.settings import Settings
from gossip.view import Address
from node.config import Config
from node.errors import StorageFault
from node.node import Node, identify
from node.store import Batch, Store, Transaction
from tests.sim.disk import Disk, SimEngine
from tests.sim.loop import Host, VirtualLoop
from tests.sim.network import Network, Port, Rates

T = TypeVar("T")

WALL_START_MS = 1_700_000_000_000
CLIENT_S = 2.5
"""A client that has no answer by then never gets one."""


class NoAnswer(Exception):
    """The node died, or was silent for longer than a client waits."""


class SimTime:
    """The clocks of one machine."""

    def __init__(self, loop: VirtualLoop, skew_ms: int, started: float) -> None:
        self._loop = loop
        self._skew_ms = skew_ms
        self._started = started

    def monotonic(self) -> float:
        return self._loop.time() + self._started

    def wall_ms(self) -> int:
        return WALL_START_MS + self._skew_ms + int(self._loop.time() * 1000)


class Machine:
    """One address: a disk that stays, and processes that come and go. `node` is None while none runs, or it still
    starts."""

    def __init__(self, cluster: Cluster, config: Config, skew_ms: int) -> None:
        self.address = config.address
        self.disk = Disk(cluster.rng)
        self.node: Node | None = None
        self.host: Host | None = None
        self._cluster = cluster
        self._config = config
        self._time = SimTime(cluster.loop, skew_ms, cluster.rng.uniform(1, 1000))
        self._engine: SimEngine | None = None

    @property
    def runs(self) -> bool:
        return self.node is not None and self.host is not None and not self.host.frozen

    def start(self) -> None:
        assert self.host is None
        self._cluster.trace(f"{self.address} starts")
        self.host = Host(self._cluster.loop, self.address)
        self.host.spawn(self._live(self.host))

    def crash(self) -> None:
        """As by SIGKILL."""
        assert self.host is not None
        self._cluster.trace(f"{self.address} is killed")
        self.host.kill()
        self._cluster.graveyard.append((self.host, self.node))
        if self.address in self._cluster.network.ports:
            self._cluster.network.kill(self.address)
        if self._engine is not None:
            self._engine.crash()
        self.host = self.node = self._engine = None

    def freeze(self) -> None:
        assert self.host is not None
        self._cluster.trace(f"{self.address} is paused")
        self.host.freeze()

    def thaw(self) -> None:
        if self.host is not None and self.host.frozen:
            self._cluster.trace(f"{self.address} goes on")
            self.host.thaw()

    async def ask(self, question: Callable[[Node], Coroutine[Any, Any, T]]) -> T:
        """What a client of this node gets. Raises NoAnswer, or what the node raises."""
        node, host = self.node, self.host
        if node is None or host is None:
            raise NoAnswer("connection refused")
        answer: asyncio.Future[T] = self._cluster.loop.create_future()

        async def work() -> None:
            try:
                result = await question(node)
            except Exception as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        host.spawn(work())
        try:
            async with asyncio.timeout(CLIENT_S):
                return await answer
        except TimeoutError:
            raise NoAnswer("no answer in time") from None

    async def _live(self, host: Host) -> None:
        def open_engine(begin: Callable[[Transaction], Batch], committed: Callable[[Batch], None]) -> SimEngine:
            self._engine = SimEngine(self.disk, begin, committed)
            return self._engine

        rng = random.Random(self._cluster.rng.getrandbits(64))
        store = Store(open_engine)
        port = Port(self._cluster.network, self.address, host)
        try:
            node = Node(self._config, self._time, rng, store, await identify(store, rng), port, Settings())
            await node.start()
        except StorageFault:
            self._cluster.loop.call_soon(self.crash, context=contextvars.Context())  # It would exit with a message.
            return
        self.node = node
        try:
            await node.run()
        except Exception as error:
            self._cluster.loop.failures.append(error)
            raise


class Cluster:
    """`names` are the machines; the first `members` of them make up the first view, which all are told."""

    def __init__(
        self,
        seed: int,
        size: int,
        members: int,
        repl_factor: int | None = None,
        rates: Rates | None = None,
        skew_ms_max: int = 0,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.loop = VirtualLoop(random.Random(self.rng.getrandbits(64)))
        self.trace: Callable[[str], None] = (lambda _: None) if trace is None else self._timed(trace)
        self.network = Network(self.loop, self.rng, rates or Rates(), self.trace)
        self.graveyard: list[object] = []
        """Dead processes: kept, lest their coroutines be finalized in the middle of the run."""
        addresses = [f"10.0.0.{number}:1" for number in range(1, size + 1)]
        view = tuple(addresses[:members])
        self.machines = {
            address: Machine(
                self,
                Config(address=address, view=view, data_dir=Path("/nowhere"), repl_factor=repl_factor),
                self.rng.randint(-skew_ms_max, skew_ms_max),
            )
            for address in addresses
        }

    def _timed(self, trace: Callable[[str], None]) -> Callable[[str], None]:
        return lambda text: trace(f"{self.loop.time():10.6f} {text}")

    def cut(self, one: Address, other: Address, both_ways: bool = True) -> None:
        self.trace(f"cut {one} {'<>' if both_ways else '->'} {other}")
        self.network.cuts.add((one, other))
        if both_ways:
            self.network.cuts.add((other, one))

    def heal(self) -> None:
        self.trace("the network heals")
        self.network.cuts.clear()
