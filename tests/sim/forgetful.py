"""A cluster that forgets deletions while a test looks on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gossip.view import Address
from node.net.messages import ReadResult
from ring.hashing import partition_of
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine
from tests.sim.peace import read

GRACE_S = 60.0
LONG_S = 1.5 * GRACE_S
STEADY_S = 10.0
"""For everything to be announced, and for a new view to settle."""
KEY, OTHER = b"deleted", b"never touched again"


class Story:
    """A cluster that remembers deletions for a minute only."""

    def __init__(self, size: int, repl_factor: int | None, members: int | None = None) -> None:
        timing = {"tombstone_grace_s": GRACE_S, "purge_every_s": 1.0}
        self.cluster = Cluster(1, size, members or size, repl_factor=repl_factor, timing=timing)
        self.machines = list(self.cluster.machines.values())

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.cluster.loop.run(story)

    async def start(self) -> None:
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(STEADY_S)

    def owner(self, key: bytes) -> Machine:
        node = self.machines[0].node
        assert node is not None
        return self.cluster.machines[node.views.ring.owners(partition_of(key))[0]]

    async def put(
        self, key: bytes, value: bytes | None = b"1", via: Machine | None = None, ttl_ms: int | None = None
    ) -> None:
        await (via or self.machines[0]).ask(lambda node: node.router.write(key, value, ttl_ms=ttl_ms))

    async def values(self, key: bytes) -> set[bytes | None]:
        outcomes = [await machine.ask(lambda node: read(node, key)) for machine in self.machines if machine.runs]
        return {outcome.answer.value for outcome in outcomes if isinstance(outcome.answer, ReadResult)}

    async def change(self, *nodes: Address) -> None:
        await next(machine for machine in self.machines if machine.runs).ask(lambda node: change(node, nodes), 10.0)

    def holders(self, key: bytes) -> list[Machine]:
        """Those that have any record of it, be it a tombstone."""
        return [machine for machine in self.machines if machine.disk.record(key) is not None]
