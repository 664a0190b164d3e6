"""Another store, one node of which gets the address of a machine of the cluster while that one is down.

It has keys of its own, by the names that the cluster's have, and was founded in a network of its own, where nobody knew
of the other. When it comes, both stores call each other. Neither may take anything from the other: not a view, not a
key, not an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from gossip.view import Address
from node.config import CLUSTER_DEFAULT, Config
from node.errors import Unavailable
from node.net.messages import ReadResult
from node.values.record import Record
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.nemesis import FOUNDED_S
from tests.sim.network import Network
from tests.sim.peace import read
from tests.sim.registers import Violation
from tests.sim.trace import name_of

OTHER_ADDRESS = "x1:1"
"""Of the other node, if there are two."""
KEYS = 12
LOOK_S = 0.3
"""Between two looks at whether it still is what it was."""


class Aliens:
    """`address`: the one that it shares with a machine. `size`: one node or two. `changes`: how often its view was
    changed before it comes. `name`: that of its cluster. `seen` counts what happened."""

    def __init__(
        self,
        cluster: Cluster,
        address: Address,
        size: int = 1,
        changes: int = 0,
        name: str = CLUSTER_DEFAULT,
        seen: Counter[str] | None = None,
    ) -> None:
        self.address = address
        self.is_namesake = name == CLUSTER_DEFAULT
        self.values = {b"k%d" % number: b"alien%d" % number for number in range(KEYS)}
        self.are_here = False
        self._cluster = cluster
        self._changes = changes
        self._seen = Counter[str]() if seen is None else seen
        nodes = (address, OTHER_ADDRESS)[:size]
        configs = [Config(address=node, view=nodes, data_dir=Path("/nowhere"), cluster=name) for node in nodes]
        self.machines = {config.address: Machine(cluster, config, 0) for config in configs}
        for machine in self.machines.values():
            machine.fellows = self.machines

    async def found(self) -> None:
        """Elsewhere, before it comes here."""
        elsewhere = Network(self._cluster.loop, self._cluster.rng, self._cluster.network.rates, None)
        for machine in self.machines.values():
            machine.network = elsewhere
            machine.start()
        await asyncio.sleep(FOUNDED_S)
        asked = self.machines[self.address]
        for key, value in self.values.items():
            await asked.ask(lambda node, key=key, value=value: node.router.write(key, value))  # type: ignore[misc]
        for _ in range(self._changes):
            await asked.ask(lambda node: change(node, sorted(self.machines)), patience_s=10.0)
        await asyncio.sleep(FOUNDED_S)
        self.leave()
        for machine in self.machines.values():
            machine.network = self._cluster.network

    def come(self) -> None:
        """The machine that had the address must be down."""
        assert self._cluster.machines[self.address].host is None
        self.are_here = True
        self._cluster.note(f"another store's node has the address of {name_of(self.address)}")
        for machine in self.machines.values():
            machine.start()

    def leave(self) -> None:
        self.are_here = False
        for machine in self.machines.values():
            machine.crash()

    async def visit(self, duration_s: float) -> None:
        """Come, stay for so long, and leave as it came. Raises Violation."""
        self.come()
        until = self._cluster.loop.now + duration_s
        while self._cluster.loop.now < until:
            await asyncio.sleep(LOOK_S)
            await self.look()
        self.leave()
        self.check()

    async def look(self) -> None:
        """Raises Violation unless its clients get what it always had, or nothing."""
        for key, value in self.values.items():
            try:
                outcome = await self.machines[self.address].ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
            except (NoAnswer, Unavailable):
                continue  # It has just started.
            assert isinstance(outcome.answer, ReadResult)
            if outcome.answer.value != value:
                raise Violation(f"the other store's {key!r} is {outcome.answer.value!r}")
            self._seen["reads of another store"] += 1

    def check(self) -> None:
        """Raises Violation if one of the two stores has anything of the other."""
        held = {key: record.value for key, record in self._records(self.machines.values())}
        if held != self.values:
            raise Violation(f"the other store holds {held!r}")
        for machine in self.machines.values():
            view = machine.disk.view()
            if view is None or view.nodes != self.machines.keys():
                raise Violation(f"the other store has a view of {view and sorted(view.nodes)}")
        for key, record in self._records(self._cluster.machines.values()):
            if record.value in self.values.values():
                raise Violation(f"{key!r} of the other store is in this one")

    def _records(self, machines: Iterable[Machine]) -> Iterator[tuple[bytes, Record]]:
        return ((key, record) for machine in machines for key, record in machine.disk.records())
