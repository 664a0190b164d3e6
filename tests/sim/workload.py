"""What clients do while things go wrong, and what they may see.

One register per key, one write to it at a time. A write that was acknowledged is what a read must return, or a later
one; a write that got no answer, or a 503, may have happened.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from gossip.view import Address
from node.errors import Conflict, RequestFault, StorageFault, Unavailable
from node.node import Node
from node.replica import Outcome
from node.wire import Nothing, Value, Wrote
from tests.sim.cluster import CLIENT_S, Cluster, Machine, NoAnswer

CLIENTS = 10
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
        self._troubled: dict[Address, float] = {}
        """When a machine was last seen down, paused, cut off, or with a full disk."""
        self._stopping = False

    async def run(self) -> None:
        """Raises Violation."""
        for machine in self.cluster.machines.values():
            machine.start()
        watch = asyncio.create_task(self._watch_trouble())
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(self._client())
            tasks.create_task(self._nemesis())
            await asyncio.sleep(self.duration_s)
            self._stopping = True
        watch.cancel()
        await self._heal()
        await asyncio.sleep(CLIENT_S)  # What a paused node was still working on may happen yet.
        await self._check_end()
        if self.cluster.loop.failures:
            raise Violation("a node failed") from self.cluster.loop.failures[0]

    # Clients

    async def _client(self) -> None:
        while not self._stopping:
            await asyncio.sleep(self.rng.uniform(0, 0.02))
            key = self.rng.choice(list(self.registers))
            machine = self.rng.choice(list(self.cluster.machines.values()))
            if self.rng.random() < 0.5:
                await self._read(machine, key)
            elif not self.registers[key].busy:
                await self._write(machine, key)

    async def _read(self, machine: Machine, key: bytes) -> None:
        register = self.registers[key]
        before, tried = register.possible, len(register.history)
        try:
            outcome = await machine.ask(lambda node: read(node, key))
        except (Unavailable, NoAnswer, StorageFault):
            self.seen["reads without answer"] += 1
            return
        assert isinstance(outcome.answer, Value)
        self.seen["reads"] += 1
        value = outcome.answer.value
        allowed = before | set(register.history[tried:])
        if value not in allowed and not self._is_excused(key):
            raise Violation(f"{key!r} read through {machine.address} is {value!r}; possible: {allowed!r}")

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
        self.seen["excused"] += 1
        return not any(map(self._is_well, holders))

    def _is_somewhere(self, key: bytes, values: Collection[bytes | None]) -> bool:
        """Whether the key has one of `values` on any disk."""
        records = (machine.disk.record(key) for machine in self.cluster.machines.values())
        return any(record is not None and record.value in values for record in records)

    def _is_well(self, address: Address) -> bool:
        if not self.cluster.machines[address].runs:
            return False
        return self.cluster.loop.time() - self._troubled.get(address, -RECOVERY_S) > RECOVERY_S

    async def _watch_trouble(self) -> None:
        while True:
            now = self.cluster.loop.time()
            for address, machine in self.cluster.machines.items():
                if not machine.runs or machine.disk.full:
                    self._troubled[address] = now
            for pair in self.cluster.network.cuts:
                self._troubled.update(dict.fromkeys(pair, now))
            await asyncio.sleep(0.01)

    async def _write(self, machine: Machine, key: bytes) -> None:
        register = self.registers[key]
        register.busy = True
        try:
            await self._write_alone(machine, key, register)
        finally:
            register.busy = False

    async def _write_alone(self, machine: Machine, key: bytes, register: Register) -> None:
        self._written += 1
        value = None if self.rng.random() < 0.3 else b"%d" % self._written
        now = self.cluster.loop.time()
        attempt = Attempt(value, now)
        register.attempts.append(attempt)
        register.history.append(value)
        self.cluster.trace(f"client writes {key!r} = {value!r} through {machine.address}")
        try:
            outcome = await machine.ask(lambda node: node.replica.write(key, value))
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.cluster.trace(f"client write {key!r} = {value!r}: {fault!r}")
            self.seen["writes without answer"] += 1
        else:
            self.seen["writes"] += 1
            self.cluster.trace(f"client write {key!r} = {value!r}: {outcome}")
            if not self._saw_all(register, attempt, outcome, key):
                register.attempts.append(Attempt(register.acknowledged, now))  # With clocks apart, it may yet win.
            if isinstance(outcome.answer, Nothing) and self._is_somewhere(key, register.possible - {None}):
                return  # It was not seen, nothing was written, and it may come back: with nodes that were passed over.
            register.acknowledged = value
            register.attempts = [
                other for other in register.attempts if other is not attempt and other.since > now - SPENT_S
            ]

    def _there(self, register: Register, attempt: Attempt) -> set[bytes | None]:
        """What could be there before `attempt`."""
        return {register.acknowledged, *(other.value for other in register.attempts if other is not attempt)}

    def _saw_all(self, register: Register, attempt: Attempt, outcome: Outcome, key: bytes) -> bool:
        """Whether `replaced`, or a delete's 404, fits something that could be there. Raises Violation if it had to."""
        there = self._there(register, attempt)
        found = (
            outcome.answer.replaced if isinstance(outcome.answer, Wrote) else not isinstance(outcome.answer, Nothing)
        )
        fits = any((value is not None) == found for value in there)
        if not fits and not self._is_excused(key):
            raise Violation(f"{key!r}: write answered {outcome.answer}, but there was one of {there!r}")
        return fits

    # What goes wrong

    async def _nemesis(self) -> None:
        faults = [self._crash, self._freeze, self._cut, self._change_view, self._change_view, self._fill_disk]
        async with asyncio.TaskGroup() as under_way:
            while not self._stopping:
                await asyncio.sleep(self.rng.uniform(0.05, 1.0))
                under_way.create_task(self.rng.choice(faults)())

    def _any(self) -> Machine:
        return self.rng.choice(list(self.cluster.machines.values()))

    async def _crash(self) -> None:
        machine = self._any()
        if machine.host is None or machine.host.frozen:
            return
        self.seen["crashes"] += 1
        machine.crash()
        await asyncio.sleep(self.rng.choice([0.01, 0.3, 1.0, 3.0]) * self.rng.random())
        if machine.host is None:
            machine.start()

    async def _freeze(self) -> None:
        machine = self._any()
        if not machine.runs:
            return
        self.seen["pauses"] += 1
        machine.freeze()
        await asyncio.sleep(self.rng.choice([0.2, 0.6, 1.5, 5.0]) * self.rng.random())
        machine.thaw()

    async def _cut(self) -> None:
        one, other = self.rng.sample(sorted(self.cluster.machines), 2)
        self.seen["cuts"] += 1
        self.cluster.cut(one, other, both_ways=self.rng.random() < 0.7)
        await asyncio.sleep(self.rng.uniform(0.1, 3.0))
        self.cluster.network.cuts -= {(one, other), (other, one)}
        self.cluster.trace(f"cut of {one} and {other} ends")

    async def _fill_disk(self) -> None:
        machine = self._any()
        self.seen["full disks"] += 1
        self.cluster.trace(f"the disk of {machine.address} is full")
        machine.disk.full = True
        await asyncio.sleep(self.rng.uniform(0.05, 0.5))
        machine.disk.full = False

    async def _change_view(self) -> None:
        addresses = sorted(self.cluster.machines)
        nodes = self.rng.sample(addresses, self.rng.randint(1, len(addresses)))
        machine = self._any()
        self.cluster.trace(f"view change to {nodes} asked of {machine.address}")
        try:
            change = await machine.ask(lambda node: node.coordinator.change(nodes, None))
            self.seen["view changes"] += 1
            self.cluster.trace(f"view {change.view.stamp} is in force")
        except Conflict:
            self.seen["view changes refused"] += 1
        except (RequestFault, NoAnswer, StorageFault):
            self.seen["view changes failed"] += 1

    # The end

    async def _heal(self) -> None:
        self.cluster.heal()
        for machine in self.cluster.machines.values():
            machine.disk.full = False
            machine.thaw()
            if machine.host is None:
                machine.start()
        self._healed_at = self.cluster.loop.time()
        while not self._is_settled():
            if self.cluster.loop.time() - self._healed_at > HEAL_S:
                raise Violation(f"not settled {HEAL_S} s after the heal: {self._state()}")
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
                if self.cluster.loop.time() - self._healed_at > HEAL_S:
                    raise Violation(f"{key!r} cannot be read through {machine.address}: {fault}") from fault
                await asyncio.sleep(0.05)

    async def _check_end(self) -> None:
        """Every key reads the same through every node, and as it should; the counts are exact."""
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
        counted = sum(node.key_count for node in self._nodes())
        if counted != live:
            raise Violation(f"{counted} keys are counted, {live} can be read")


async def read(node: Node, key: bytes) -> Outcome:
    at_once = node.replica.read_here(key)
    return await node.replica.read(key) if at_once is None else Outcome(at_once, None)
