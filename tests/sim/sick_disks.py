"""What stories of disks that are full or hang, and of nodes that die with theirs, have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from gossip.view import Address
from node.net.messages import Push, ReadResult, Request
from node.node import Node
from node.views.change_conditions import TakeBack
from node.views.coordinator import Settled
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine
from tests.sim.peace import read

STEADY_S = 5.0
STALL_S = 16.0
"""A little longer than what makes a change one that does not get on."""
GRACE_S = 60.0
KEYS = [b"k%d" % number for number in range(60)]


class Story:
    """`members` of `size` machines hold the keys, each with its own number as its value."""

    def __init__(
        self,
        size: int,
        members: int,
        repl_factor: int | None = None,
        timing: Mapping[str, float] | None = None,
    ) -> None:
        self.cluster = Cluster(1, size, members, repl_factor=repl_factor, timing=timing)
        self.machines = list(self.cluster.machines.values())

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)
        for key in KEYS:
            await self.put(self.machines[0], key)

    async def put(self, via: Machine, key: bytes, value: bytes = b"1") -> None:
        await via.ask(lambda node: node.router.write(key, value))

    async def change(self, via: Machine, *nodes: Machine, patience_s: float = 60.0) -> Settled:
        addresses = [node.address for node in nodes]
        return await via.ask(lambda node: change(node, addresses), patience_s)

    def begin(self, via: Machine, *nodes: Machine) -> asyncio.Task[Settled]:
        return asyncio.ensure_future(self.change(via, *nodes, patience_s=1000.0))

    async def values(self, via: Machine, keys: Sequence[bytes] = KEYS) -> list[bytes | None]:
        found = []
        for key in keys:
            answer = (await via.ask(lambda node, key=key: read(node, key))).answer  # type: ignore[misc]
            assert isinstance(answer, ReadResult)
            found.append(answer.value)
        return found

    async def all_is_there(self, *via: Machine) -> None:
        for machine in via:
            assert await self.values(machine) == [b"1"] * len(KEYS)

    def when_pushed(self, to: Machine, strike: str, records: int = 1) -> None:
        """As soon as the first records are on their way to it, its disk is `strike`."""

        def sent(_: Address, receiver: Address, request: Request) -> None:
            if receiver == to.address and isinstance(request, Push) and len(request.records) >= records:
                setattr(to.disk, strike, True)

        self.cluster.network.watchers.append(sent)
        self._sent = sent

    def unwatch(self) -> None:
        self.cluster.network.watchers.remove(self._sent)


async def take_back(node: Node) -> Settled:
    return await node.coordinator.await_settled(await node.coordinator.change(TakeBack()))


def is_empty(machine: Machine) -> bool:
    return not list(machine.disk.records())
