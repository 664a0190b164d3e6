"""What clients do while things go wrong, and what they may see, then and in the end.

One register per key, one write to it at a time. A write that was acknowledged is what a read must return, or a later
one; a write that got no answer, or a 503, may have happened.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection
from typing import NamedTuple

from node.errors import RequestFault, StorageFault, Unavailable
from node.node import Node
from node.replica import Outcome
from node.views import NOBODY
from node.wire import Nothing, Value, Wrote
from tests.sim.cluster import CLIENT_S, Cluster, Machine, NoAnswer
from tests.sim.disk import SYNC_S
from tests.sim.nemesis import Nemesis, change
from tests.sim.trace import brief, name_of

CLIENTS = 10
THINK_S = 0.5
"""Between two operations of one client, on average, while nothing happens."""
HASTE_S = 0.04
"""The same for a while after each fault and each new view: that is when promises break."""
EVENTFUL_S = 0.2
RECENT_KEYS = 4
"""Half of the operations are about one of the keys written last: what was just written is what gets lost."""
CHANGE_S = 4.0
"""SPEC: a view change of so few keys, all nodes up, is over within this."""
HEAL_S = 4.0
"""SPEC: within this after a heal, plus the time to move what differs, everything is as it should be."""
RECOVERY_S = 3.0
"""How long after its last trouble a machine may still be busy with the consequences: noticing, asking around, dialling
again."""
SPENT_S = 10.0
"""A write without an answer can no longer happen after this."""


class Violation(AssertionError):
    """The store broke a promise."""


class Attempt(NamedTuple):
    """A write that may have happened."""

    value: bytes | None
    since: float


class Register:
    """What may be read of one key. None: it does not exist."""

    def __init__(self) -> None:
        self.acknowledged: bytes | None = None
        self.attempts: list[Attempt] = []
        self.history: list[bytes | None] = []
        """Every value that anybody tried to write."""
        self.busy = False

    @property
    def possible(self) -> set[bytes | None]:
        return {self.acknowledged, *(attempt.value for attempt in self.attempts)}


class Workload:
    """`seen` counts what happened, for the report."""

    def __init__(self, cluster: Cluster, keys: int, duration_s: float) -> None:
        self.cluster = cluster
        self.rng = cluster.rng
        self.duration_s = duration_s
        self.registers = {f"k{number}".encode(): Register() for number in range(keys)}
        self.seen: Counter[str] = Counter()
        self._written = 0
        self._recent: deque[bytes] = deque(maxlen=RECENT_KEYS)
        self._stopping = False

    async def run(self) -> None:
        """Raises Violation."""
        for machine in self.cluster.machines.values():
            machine.start()
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(f"c{number}"))
            await Nemesis(self.cluster, self.seen).run(until=self.duration_s)
            self._stopping = True
        await self._heal()
        await asyncio.sleep(CLIENT_S)  # What a paused node was still working on may happen yet.
        live = await self._check_end()
        await self._change_in_peace(live)

    # Clients

    async def _client(self, name: str) -> None:
        keys, machines = list(self.registers), list(self.cluster.machines.values())
        while not self._stopping:
            eventful = self.cluster.loop.now - self.cluster.eventful_at < EVENTFUL_S
            await asyncio.sleep(self.rng.uniform(0, 2 * (HASTE_S if eventful else THINK_S)))
            key = self.rng.choice(self._recent if self._recent and self.rng.random() < 0.5 else keys)
            machine = self.rng.choice(machines)
            if self.rng.random() < 0.5:
                await self._read(name, machine, key)
            elif not self.registers[key].busy:
                await self._write(name, machine, key)

    async def _read(self, client: str, machine: Machine, key: bytes) -> None:
        register = self.registers[key]
        before, tried, excused = register.possible, len(register.history), self._is_excused(key)
        try:
            outcome = await machine.ask(lambda node: read(node, key))
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.seen["reads without answer"] += 1
            self._tell(client, f"gets {key.decode()}", machine, fault)
            return
        self._tell(client, f"gets {key.decode()}", machine, outcome)
        assert isinstance(outcome.answer, Value)
        self.seen["reads"] += 1
        value = outcome.answer.value
        allowed = before | set(register.history[tried:])
        if value not in allowed and not self._excuse(excused, key):
            raise Violation(f"{key!r} read through {machine.address} is {value!r}; possible: {allowed!r}")

    def _excuse(self, excused_before: bool, key: bytes) -> bool:
        """Whether the outcome of an operation that should not be can be excused: as things stood when it began, or as
        they stand now."""
        self.seen["excused"] += 1
        return excused_before or self._is_excused(key)

    def _is_excused(self, key: bytes) -> bool:
        """Whether nobody well has the newest version of those acknowledged: then its holders are down, or were passed
        over when they were removed."""
        pending = {attempt.value for attempt in self.registers[key].attempts}
        versions = {
            address: record.version
            for address, machine in self.cluster.machines.items()
            if (record := machine.disk.record(key)) is not None and record.value not in pending - {None}
        }
        newest = max(versions.values(), default=None)
        holders = [address for address, version in versions.items() if version == newest]
        return not any(self.cluster.machines[address].is_well(RECOVERY_S) for address in holders)

    def _is_somewhere(self, key: bytes, values: Collection[bytes | None]) -> bool:
        """Whether the key has one of `values` on any disk."""
        records = (machine.disk.record(key) for machine in self.cluster.machines.values())
        return any(record is not None and record.value in values for record in records)

    async def _write(self, client: str, machine: Machine, key: bytes) -> None:
        register = self.registers[key]
        register.busy = True
        try:
            await self._write_alone(client, machine, key, register)
        finally:
            register.busy = False

    async def _write_alone(self, client: str, machine: Machine, key: bytes, register: Register) -> None:
        self._written += 1
        self._recent.append(key)
        value = None if self.rng.random() < 0.3 else b"%d" % self._written
        now, excused = self.cluster.loop.now, self._is_excused(key)
        attempt = Attempt(value, now)
        register.attempts.append(attempt)
        register.history.append(value)
        what = f"puts {key.decode()} = {value.decode()}" if value is not None else f"deletes {key.decode()}"
        self._tell(client, what, machine)
        try:
            outcome = await machine.ask(lambda node: node.replica.write(key, value))
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.seen["writes without answer"] += 1
            self._tell(client, what, machine, fault)
        else:
            self.seen["writes"] += 1
            self._tell(client, what, machine, outcome)
            if not self._saw_all(register, attempt, outcome, key, excused):
                register.attempts.append(Attempt(register.acknowledged, now))  # With clocks apart, it may yet win.
            if isinstance(outcome.answer, Nothing) and self._is_somewhere(key, register.possible - {None}):
                return  # It was not seen, nothing was written, and it may come back: with nodes that were passed over.
            register.acknowledged = value
            register.attempts = [
                other for other in register.attempts if other is not attempt and other.since > now - SPENT_S
            ]

    def _tell(self, client: str, what: str, machine: Machine, end: Outcome | Exception | None = None) -> None:
        if self.cluster.traced:
            told = brief(end.answer) if isinstance(end, Outcome) else repr(end) if end else "..."
            self.cluster.note(f"{client} {what} through {name_of(machine.address)}: {told}")

    def _there(self, register: Register, attempt: Attempt) -> set[bytes | None]:
        """What could be there before `attempt`."""
        return {register.acknowledged, *(other.value for other in register.attempts if other is not attempt)}

    def _saw_all(self, register: Register, attempt: Attempt, outcome: Outcome, key: bytes, excused: bool) -> bool:
        """Whether `replaced`, or a delete's 404, fits something that could be there. Raises Violation if it had to."""
        there = self._there(register, attempt)
        found = (
            outcome.answer.replaced if isinstance(outcome.answer, Wrote) else not isinstance(outcome.answer, Nothing)
        )
        fits = any((value is not None) == found for value in there)
        if not fits and not self._excuse(excused, key):
            raise Violation(f"{key!r}: write answered {outcome.answer}, but there was one of {there!r}")
        return fits

    # The end

    async def _heal(self) -> None:
        self.cluster.heal()
        for machine in self.cluster.machines.values():
            machine.disk.full, machine.disk.sync_s = False, SYNC_S
            machine.thaw()
            if machine.host is None:
                machine.start()
        self._healed_at = self.cluster.loop.now
        await self._settle()

    async def _settle(self) -> None:
        began = self.cluster.loop.now
        while not (self._is_settled() and self._copies_are_alike()):
            if self.cluster.loop.now - began > HEAL_S:
                raise Violation(f"not settled within {HEAL_S} s: {self._state()}")
            await asyncio.sleep(0.05)

    def _nodes(self) -> list[Node]:
        return [machine.node for machine in self.cluster.machines.values() if machine.node is not None]

    def _is_settled(self) -> bool:
        nodes = self._nodes()
        one_view = len({node.views.stamp for node in nodes}) == 1
        return len(nodes) == len(self.cluster.machines) and one_view and all(node.sync.is_settled() for node in nodes)

    def _state(self) -> str:
        return "; ".join(
            f"{node.config.address}: {node.views.stamp}, handing {node.sync.handing()}, waiting {node.sync.waiting()}"
            for node in self._nodes()
        )

    async def _read_healed(self, machine: Machine, key: bytes) -> Outcome:
        while True:
            try:
                return await machine.ask(lambda node: read(node, key))
            except (Unavailable, NoAnswer) as fault:
                if self.cluster.loop.now - self._healed_at > HEAL_S:
                    raise Violation(f"{key!r} cannot be read through {machine.address}: {fault}") from fault
                await asyncio.sleep(0.05)

    async def _check_end(self) -> int:
        """Every key reads the same through every node, and as it should; the counts are exact. Returns how many
        exist."""
        live = 0
        for key, register in self.registers.items():
            values = set()
            for machine in self.cluster.machines.values():
                outcome = await self._read_healed(machine, key)
                assert isinstance(outcome.answer, Value)
                values.add(outcome.answer.value)
            if len(values) > 1:
                raise Violation(f"{key!r} reads differently: {values!r}")
            if not values <= register.possible:
                raise Violation(f"{key!r} is {values!r} in the end; possible: {register.possible!r}")
            live += values != {None}
        await self._settle()  # A change that waited for a promise to become void may have begun meanwhile.
        nodes = {node.config.address: node for node in self._nodes()}
        counted = sum(nodes[shard[0]].key_count for shard in self._nodes()[0].views.current.shards)
        if counted != live:
            raise Violation(f"{counted} keys are counted, {live} can be read")
        for node in self._nodes():
            node.check()
        return live

    def _copies_are_alike(self) -> bool:
        nodes = {node.config.address: node for node in self._nodes()}
        shards = self._nodes()[0].views.current.shards
        return all(len({nodes[address].digest for address in shard}) == 1 for shard in shards)

    async def _change_in_peace(self, live: int) -> None:
        """A view change that nothing disturbs ends in time, with exact counts. Not tried while a promise to a
        coordinator that was killed is not void yet: it would be refused, or wait for that."""
        if any(node.views.promisee() != NOBODY for node in self._nodes()):
            self.seen["view changes in peace put off by a promise"] += 1
            return
        machine = self.rng.choice(list(self.cluster.machines.values()))
        nodes = self.rng.sample(sorted(self.cluster.machines), self.rng.randint(1, len(self.cluster.machines)))
        try:
            settled = await machine.ask(lambda node: change(node, nodes), CHANGE_S)
        except (RequestFault, NoAnswer) as fault:
            raise Violation(f"a view change in peace failed: {fault!r}") from fault
        counted = sum(settled.key_counts[shard[0]] for shard in settled.view.shards)
        if settled.view.nodes != set(nodes) or counted != live:
            raise Violation(f"a view change to {nodes} led to {settled.view.nodes} and {counted} of {live} keys")


async def read(node: Node, key: bytes) -> Outcome:
    at_once = node.replica.read_here(key)
    return await node.replica.read(key) if at_once is None else Outcome(at_once, None)
