"""Clients that read, write and delete a few keys, many at once in a batch, while nodes are killed, paused and moved.

Each operation of a batch is one of its own, which may have happened at any time between the call and the answer of the
whole; and every history of a key must be linearizable. With one copy, that holds also while links are cut, so then some
are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from node.errors import RequestFault, StorageFault
from node.node import Node
from node.operations.batching import Asked, Came
from node.operations.router import Outcome
from tests.linearizability import Kind, Operation
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.contention import Contention, OneAtATime, answered
from tests.sim.nemesis import Nemesis
from tests.sim.trace import brief, name_of

KEYS, CLIENTS = 12, 6
THINK_S = 0.03
LINES_MAX = 7
"""Of one batch: so many that some have a key twice, and few enough that the check of the histories takes no longer than
the rest."""
READS_SHARE, DELETES_SHARE, EXPIRING_SHARE = 0.4, 0.15, 0.1
"""How many of the operations read, delete, or put what expires, after all is over."""
TTL_MS = 3_600_000_000


class Cuts(Nemesis):
    """Overlapping faults, cuts among them, in a view that stays."""

    def __init__(self, cluster: Cluster, seen: Counter[str]) -> None:
        super().__init__(cluster, seen, AcknowledgedViews(cluster))
        self._faults = [self._crash, self._freeze, self._fill_disk, self._slow_disk, self._cut, self._isolate]


class Batches(Contention):
    """`cuts`: whether the network is cut too."""

    def __init__(self, cluster: Cluster, duration_s: float, cuts: bool = False) -> None:
        super().__init__(cluster, duration_s)
        self._patience_s *= 2  # What was left of a batch takes its own time.
        self._cuts = cuts

    def harm(self) -> Nemesis:
        return (Cuts if self._cuts else OneAtATime)(self.cluster, self.seen)

    async def _client(self, name: str) -> None:
        machines = list(self.cluster.machines.values())
        while not self._stopping:
            await asyncio.sleep(self._rng.uniform(0, 2 * THINK_S))
            lines = [self._line() for _ in range(self._rng.randint(1, LINES_MAX))]
            await self._send(name, self._rng.choice(machines), lines)

    def _line(self) -> Asked:
        key, number = b"k%d" % self._rng.randrange(KEYS), self._rng.random()
        if number < READS_SHARE:
            return Asked(key, is_read=True)
        if number < READS_SHARE + DELETES_SHARE:
            return Asked(key)
        self._written += 1
        expires = self._rng.random() < EXPIRING_SHARE
        return Asked(key, value=b"%d" % self._written, ttl_ms=TTL_MS if expires else None)

    async def _send(self, client: str, machine: Machine, lines: Sequence[Asked]) -> None:
        called = self.cluster.loop.now
        self._note(f"{client} sends {len(lines)} lines through {name_of(machine.address)}")
        came: Sequence[Came | Exception]
        try:
            came = await machine.ask(lambda node: carry_out(node, lines), self._patience_s)
        except NoAnswer as fault:
            came = [fault] * len(lines)
        for line, one in zip(lines, came, strict=True):
            kind = Kind.GET if line.is_read else Kind.DELETE if line.value is None else Kind.PUT
            told = f"{client} {kind.name} {line.key.decode()} {line.value!r}"
            if isinstance(one, Outcome):
                self.seen[kind.name] += 1
                self._note(f"{told}: {brief(one.answer)}")
                operation = answered(kind, line.value, called, self.cluster.loop.now, one)
            else:
                assert isinstance(one, RequestFault | NoAnswer | StorageFault), one
                self.seen[f"{kind.name} without answer"] += 1
                self._note(f"{told}: {one!r}")
                operation = Operation(kind, line.value, called)
            self.histories[line.key].append(operation)


async def carry_out(node: Node, lines: Sequence[Asked]) -> Sequence[Came]:
    """What was put off, which is done later, is done at once."""
    came = await node.batching.carry_out(lines)
    return [await node.batching.alone(line) if one is None else one for line, one in zip(lines, came, strict=True)]
