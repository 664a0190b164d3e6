"""Clients that read, write and delete the same few keys at once, while nodes are killed, paused and moved, but nothing
is cut: every history of a key must be linearizable.

One machine is in trouble at a time, and the next only once all have caught up: an acknowledged write may be on the disk
of a single owner while the others are away, and if that one goes before they have heard of it, they cannot know.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

from node.errors import StorageFault, Unavailable
from node.net.messages import NothingDeleted, ReadResult, Wrote
from node.operations.router import Outcome
from tests.linearizability import Kind, Operation, Value, unexplained
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.cluster import CLIENT_S, Cluster, Machine, NoAnswer
from tests.sim.losses import has_caught_up, newest_view
from tests.sim.nemesis import Nemesis
from tests.sim.peace import read
from tests.sim.registers import Violation
from tests.sim.trace import brief, name_of

CLIENTS, KEYS = 10, 4
LARGE_SHARE = 0.1
"""How many of the values are large, where some are."""
THINK_S = 0.01
WRITES_SHARE, DELETES_SHARE = 0.4, 0.25
"""How many of the operations are writes, and how many of these deletions."""
SETTLED_S = 1.0
"""A start, a pause and a change of view are over by then, but for what has to be brought up to date."""


class OneAtATime(Nemesis):
    """Kills, pauses, slow disks and changes of view, each once the one before is over."""

    def __init__(self, cluster: Cluster, seen: Counter[str]) -> None:
        super().__init__(cluster, seen, AcknowledgedViews(cluster))
        self._faults = [self._crash, self._crash, self._freeze, self._freeze, self._slow_disk, self._change_view]

    async def run(self, until: float) -> None:
        while self._cluster.loop.now < until:
            async with self._under_way:
                await self._rng.choice(self._faults)()
            self._under_way = asyncio.TaskGroup()
            await asyncio.sleep(SETTLED_S * self._rng.random())
            while not self._all_have_caught_up():
                await asyncio.sleep(0.05)

    def _all_have_caught_up(self) -> bool:
        members = newest_view(self._cluster).nodes
        return all(has_caught_up(self._cluster, self._cluster.machines[node]) for node in members)


class Contention:
    def __init__(self, cluster: Cluster, duration_s: float, large_bytes: int = 0) -> None:
        """`large_bytes`: how long some of the values are; 0: none is."""
        self.seen: Counter[str] = Counter()
        self.histories: defaultdict[bytes, list[Operation]] = defaultdict(list)
        self.cluster = cluster
        self._rng = cluster.rng
        self._duration_s = duration_s
        self._written = 0
        self._large_bytes = large_bytes
        self._patience_s = max(CLIENT_S, cluster.config.patience_s)
        self._stopping = False

    async def run(self) -> None:
        """Raises Violation."""
        for machine in self.cluster.machines.values():
            machine.start()
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(f"c{number}"))
            await self.harm().run(until=self.cluster.loop.now + self._duration_s)
            self._stopping = True
        self.check()

    def harm(self) -> Nemesis:
        """What goes wrong meanwhile."""
        return OneAtATime(self.cluster, self.seen)

    def check(self) -> None:
        """Raises Violation unless what clients were told could have come from a single node that does one thing after
        the other."""
        for key, history in sorted(self.histories.items()):
            if left := unexplained(history):
                raise Violation(f"the history of {key!r} is not linearizable: what could not follow is {left!r}")

    async def _client(self, name: str) -> None:
        machines = list(self.cluster.machines.values())
        while not self._stopping:
            await asyncio.sleep(self._rng.uniform(0, 2 * THINK_S))
            key = b"k%d" % self._rng.randrange(KEYS)
            machine, number = self._rng.choice(machines), self._rng.random()
            if number > WRITES_SHARE:
                await self._operate(name, machine, key, Kind.GET, None)
            elif number < WRITES_SHARE * DELETES_SHARE:
                await self._operate(name, machine, key, Kind.DELETE, None)
            else:
                self._written += 1
                await self._operate(name, machine, key, Kind.PUT, b"%d" % self._written)

    def _padded(self, value: Value) -> Value:
        """What is sent for it: the longer, the same when it is stripped."""
        is_large = value is not None and self._large_bytes and self._rng.random() < LARGE_SHARE
        return value.ljust(self._large_bytes) if value is not None and is_large else value

    async def _operate(self, client: str, machine: Machine, key: bytes, kind: Kind, value: Value) -> None:
        what = f"{client} {kind.name} {key.decode()} {value!r} through {name_of(machine.address)}"
        called = self.cluster.loop.now
        sent = self._padded(value)
        self._note(what)
        try:
            if kind is Kind.GET:
                outcome = await machine.ask(lambda node: read(node, key), self._patience_s)
            else:
                outcome = await machine.ask(lambda node: node.router.write(key, sent), self._patience_s)
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.seen[f"{kind.name} without answer"] += 1
            self._note(f"{what}: {fault!r}")
            if isinstance(fault, Unavailable) and fault.has_not_happened:
                self.seen["not happened"] += 1  # So that nobody may see it.
            else:
                self.histories[key].append(Operation(kind, value, called))
            return
        self.seen[kind.name] += 1
        self._note(f"{what}: {brief(outcome.answer)}")
        self.histories[key].append(answered(kind, value, called, self.cluster.loop.now, outcome))

    def _note(self, text: str) -> None:
        if self.cluster.traced:
            self.cluster.note(text)


def answered(kind: Kind, value: Value, called: float, now: float, outcome: Outcome) -> Operation:
    """Of two writes at once, at two owners, each may say that it replaced what was there before both; which of them
    holds is decided by their versions. But a DELETE that finds nothing writes nothing: it is a read."""
    match outcome.answer:
        case ReadResult(value=got):
            return Operation(Kind.GET, None if got is None else got.rstrip(), called, now)
        case NothingDeleted():
            return Operation(Kind.GET, None, called, now)
        case Wrote():
            return Operation(kind, value, called, now)
    raise AssertionError(outcome.answer)
