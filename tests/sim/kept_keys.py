"""A cluster of which all keys are asked for while its nodes come, go and die: those that stay are to be told each time,
and none of those that are gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from gossip.view import Address
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine

STEADY_S = 5.0
GONE = 50
"""So many keys were put and deleted again."""


class KeptKeys:
    def __init__(self, keys: Sequence[bytes], value: bytes, seed: int, size: int, members: int, copies: int | None):
        """`keys`: those that stay, at first with this value."""
        self.cluster = Cluster(seed, size, members, repl_factor=copies)
        self.machines = list(self.cluster.machines.values())
        self.rng = random.Random(seed)
        self.is_over = False
        self._keys = keys
        self._value = value

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)
        for key in self._keys:
            await self.put(key, self._value)
        for number in range(GONE):
            await self.put(b"gone%d" % number, self._value)
            await self.put(b"gone%d" % number, None)

    def running(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.runs and machine.node is not None]

    async def put(self, key: bytes, value: bytes | None) -> None:
        await self.machines[0].ask(lambda node: node.router.write(key, value), 20.0)

    async def change(self, *nodes: Machine) -> None:
        addresses: list[Address] = [node.address for node in nodes]
        await self.machines[0].ask(lambda node: change(node, addresses), 60.0)
