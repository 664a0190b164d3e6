"""Clients that pass their causal contexts on, and what they may then see: never less than they have seen before.

Each key has one writer, so that the order of its values is known; a write without an answer may come in later than it
was sent, and is accepted whenever it is read. A value tells what its writer had seen. Whoever reads it has seen that
too, and from then on reads of those keys must not show anything older, whatever is down or cut: an answer, or none.
Where views change, a change begins while all is well. Once all is well again, contexts come to nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeAlias

from gossip.view import Address
from node.errors import StorageFault, Unavailable
from node.net.messages import ReadResult, Unsatisfied
from node.node import Node
from node.operations.router import Outcome
from node.values.context import EMPTY, to_json
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.losses import newest_view
from tests.sim.nemesis import Nemesis
from tests.sim.peace import heal
from tests.sim.registers import Violation

SESSIONS, KEYS_EACH = 8, 3
THINK_S = 0.02
WELL_S = 0.5
SETTLE_S = 10.0
"""Once all is well, and clocks are right, contexts are empty within this: leases, comparisons, the lag, and gossip."""

Question: TypeAlias = Callable[[Node], Coroutine[Any, Any, Outcome]]


class Written(NamedTuple):
    key: bytes
    seen: Mapping[bytes, int]
    """By key, the number of the value that its writer had seen."""


class Outages(Nemesis):
    """Only such faults as leave the view alone; many of them cut somebody off from all others. No disks are lost: who
    comes back with an empty one into a cut holds no copy that could be measured against a context."""

    cut_s_max = 4.0

    def __init__(self, cluster: Cluster, seen: Counter[str], sets_clocks: bool) -> None:
        super().__init__(cluster, seen, AcknowledgedViews(cluster), sets_clocks=sets_clocks)
        self._faults = [self._crash, self._freeze, self._fill_disk, self._slow_disk, *[self._isolate] * 4]
        if self._clocks is not None:
            self._faults += self._clocks.faults


class Moves(Outages):
    """Changes of view too, each begun while everybody is there: whoever removes a node that is away gives up what only
    that one has. What happens while keys move is the same as ever."""

    def __init__(self, cluster: Cluster, seen: Counter[str], sets_clocks: bool) -> None:
        super().__init__(cluster, seen, sets_clocks)
        self._faults += [self._move] * 4

    async def _move(self) -> None:
        machines = list(self._cluster.machines.values())
        if all(machine.is_well(WELL_S) for machine in machines) and not self._cluster.is_cut(WELL_S):
            size = self._rng.randint(newest_view(self._cluster).repl_factor or 1, len(machines))
            await self._change_to(self._rng.choice(machines), self._rng.sample(sorted(self._cluster.machines), size))


class Sessions:
    """`moves`: views change."""

    def __init__(self, cluster: Cluster, duration_s: float, sets_clocks: bool = False, moves: bool = False) -> None:
        self.cluster = cluster
        self._nemesis = Moves if moves else Outages
        self._sets_clocks = sets_clocks
        self.duration_s = duration_s
        self.seen: Counter[str] = Counter()
        self.written: dict[int, Written] = {}
        self.unanswered: set[int] = set()
        self.keys = [f"k{number}".encode() for number in range(SESSIONS * KEYS_EACH)]
        self.stopping = False

    async def run(self) -> None:
        """Raises Violation."""
        for machine in self.cluster.machines.values():
            machine.start()
        await asyncio.sleep(1.0)
        sessions = [_Session(self, self.keys[number::SESSIONS]) for number in range(SESSIONS)]
        async with asyncio.TaskGroup() as tasks:
            for session in sessions:
                tasks.create_task(session.run())
            await self._nemesis(self.cluster, self.seen, self._sets_clocks).run(until=self.duration_s)
            self.stopping = True
        heal(self.cluster)
        async with asyncio.TaskGroup() as tasks:
            for session in sessions:
                tasks.create_task(session.end())

    def stamps_ahead_s(self) -> float:
        """How far some node has stamped above what others believe to be possible; not above 0 if none has. What was
        stamped while all clocks were ahead, or where nobody had heard yet that they are right again, is passed by no
        other node before it is time. So long those say nothing of it, and contexts that name it stay."""
        nodes = [(machine.node, machine.time) for machine in self.cluster.machines.values()]
        ahead_ms = [(node.clock.reading >> 16) - time.wall_ms() for node, time in nodes if node is not None]
        return (max(ahead_ms) - self.cluster.config.clock_reach_ms) / 1000


class _Session:
    """One client. `own`: the keys that it alone writes."""

    def __init__(self, all_: Sessions, own: list[bytes]) -> None:
        self._all = all_
        self._cluster = all_.cluster
        self._rng = all_.cluster.rng
        self._own = own
        self._context = EMPTY
        self._seen: dict[bytes, int] = {}

    async def run(self) -> None:
        while not self._all.stopping:
            await asyncio.sleep(self._rng.uniform(0, 2 * THINK_S))
            machine = self._rng.choice(list(self._cluster.machines.values()))
            if self._rng.random() < 0.4:
                await self._write(machine, self._rng.choice(self._own))
            else:
                await self._read(machine, self._rng.choice(self._all.keys))

    async def end(self) -> None:
        """Raises Violation."""
        machines = sorted(self._cluster.machines)
        deadline = self._cluster.loop.now + SETTLE_S
        while not await self._is_forgotten(machines):
            if self._cluster.loop.now > deadline:
                if self._all.stamps_ahead_s() > 0:
                    self._all.seen["contexts that stay until it is time"] += 1
                    return
                raise Violation(f"still in a context, {SETTLE_S} s after the last fault: {self._context}")
            await asyncio.sleep(0.25)

    async def _is_forgotten(self, machines: list[Address]) -> bool:
        await self._read(self._cluster.machines[self._rng.choice(machines)], b"never written")
        return not self._context

    async def _write(self, machine: Machine, key: bytes) -> None:
        number = len(self._all.written) + 1
        self._all.written[number] = Written(key, dict(self._seen))

        async def write(node: Node) -> Outcome:
            context = node.router.take_context(to_json(self._context))
            return await node.router.write(key, b"%d" % number, context)

        outcome = await self._ask(machine, write)
        if outcome is None:
            self._all.unanswered.add(number)
        else:
            self._all.seen["writes"] += 1
            self._seen[key] = number

    async def _read(self, machine: Machine, key: bytes) -> None:
        async def read(node: Node) -> Outcome:
            return await node.router.read(key, node.router.take_context(to_json(self._context)))

        outcome = await self._ask(machine, read)
        if outcome is None:
            return
        if isinstance(outcome.answer, Unsatisfied):
            self._all.seen["reads refused"] += 1
            if key not in self._seen and not self._context.folded:
                raise Violation(f"a read of {key!r} was refused, which the context does not touch")
            return
        assert isinstance(outcome.answer, ReadResult)
        self._all.seen["reads under a context" if self._seen.get(key) else "reads"] += 1
        value, due = outcome.answer.value, self._seen.get(key, 0)
        number = 0 if value is None else int(value)
        if number < due and number not in self._all.unanswered:
            raise Violation(f"{key!r} read through {machine.address} is {number}, after {due} was seen")
        if number:
            self._learn(number)

    def _learn(self, number: int) -> None:
        key, seen = self._all.written[number]
        for other, known in {**seen, key: max(number, seen.get(key, 0))}.items():
            self._seen[other] = max(known, self._seen.get(other, 0))

    async def _ask(self, machine: Machine, question: Question) -> Outcome | None:
        try:
            outcome = await machine.ask(question)
        except (Unavailable, NoAnswer, StorageFault):
            self._all.seen["requests without answer"] += 1
            return None
        assert outcome.context is not None
        self._context = outcome.context
        self._all.seen["folded"] += bool(outcome.context.folded)
        self._all.seen["contexts"] += bool(outcome.context)
        return outcome
