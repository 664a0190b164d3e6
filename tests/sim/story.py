"""A cluster on virtual time to which a test does one thing after the other, as an operator and as a client."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from gossip.view import Address
from node.net.messages import ReadResult
from node.node import Node
from node.views.change_conditions import TakeBack, Wish
from node.views.coordinator import Settled, ViewChange
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine
from tests.sim.peace import read

STEADY_S = 5.0
PATIENCE_S = 40.0


class Story:
    """A cluster of `size` machines, the first `members` of which start with a view of themselves."""

    def __init__(
        self,
        size: int,
        members: int,
        repl_factor: int | None = None,
        environments: Mapping[Address, tuple[Address, ...]] | None = None,
        seed: int = 1,
    ) -> None:
        self.cluster = Cluster(seed, size, members, repl_factor=repl_factor, environments=environments)
        self.machines = self.cluster.machines

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    def __getitem__(self, number: int) -> Machine:
        return self.machines[f"n{number}:1"]

    async def start(self) -> None:
        await self.start_only(*range(1, len(self.machines) + 1))

    async def start_only(self, *numbers: int) -> None:
        for number in numbers:
            self[number].start()
        await asyncio.sleep(STEADY_S)

    async def change(self, asked: Machine, numbers: Sequence[int], factor: int | None = None) -> Settled:
        nodes = [f"n{number}:1" for number in numbers]
        return await asked.ask(lambda node: change(node, nodes, factor), PATIENCE_S)

    async def put(self, asked: Machine, key: bytes) -> None:
        await asked.ask(lambda node: node.router.write(key, b"1"))

    def nodes_of(self, machine: Machine) -> frozenset[Address]:
        assert machine.node is not None
        return machine.node.views.current.nodes

    def table(self) -> tuple[tuple[tuple[Address, ...], ...], bytes]:
        """Who has what, as the first machine knows it."""
        view = next(machine.node.views.current for machine in self.machines.values() if machine.node is not None)
        return view.shards, view.table

    async def wish(self, asked: Machine, wish: Wish | TakeBack) -> Settled:
        """What comes of it, as the API answers."""

        async def make(node: Node) -> Settled:
            return await node.coordinator.await_settled(await node.coordinator.change(wish))

        return await asked.ask(make, PATIENCE_S)

    async def accept(self, asked: Machine, wish: Wish | TakeBack) -> ViewChange:
        """Without waiting for its end."""
        return await asked.ask(lambda node: node.coordinator.change(wish), PATIENCE_S)

    async def values(self, asked: Machine, keys: Sequence[bytes]) -> list[bytes | None]:
        return [await self._value(asked, key) for key in keys]

    async def _value(self, asked: Machine, key: bytes) -> bytes | None:
        answer = (await asked.ask(lambda node: read(node, key))).answer
        assert isinstance(answer, ReadResult)
        return answer.value
