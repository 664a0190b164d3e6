"""Clients that read, write and delete while things go wrong, then are silent while all heals, again and again."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from gossip.view import Address
from node.errors import StorageFault, Unavailable
from node.net.messages import NothingDeleted, ReadResult, Wrote
from node.operations.router import Outcome
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.aliens import Aliens
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.nemesis import Nemesis
from tests.sim.onlooker import Glance, Onlooker
from tests.sim.peace import Peace, read
from tests.sim.registers import Attempt, Register
from tests.sim.trace import brief, name_of

CLIENTS = 10
THINK_S = 0.5
"""Between two operations of one client, on average, while nothing happens."""
HASTE_S = 0.04
"""The same for a while after each fault and each new view: that is when promises break."""
EVENTFUL_S = 0.2
RECENT_KEYS = 4
"""Half of the operations are about one of the keys written last: what was just written is what gets lost."""
ROUNDS_MAX = 3
"""Rounds of trouble and peace. A short one ends amid the consequences of its faults; a long one piles them up."""
LASTING = 1.5
"""A peace in which deletions are to be forgotten lasts for this many times the grace."""


class Workload:
    """`seen` counts what happened, for the report. `grace_s`: the cluster's, if peace shall last for longer than it.
    `aliens`, `errs`, `sets_clocks`: see `Nemesis`."""

    def __init__(
        self,
        cluster: Cluster,
        keys: int,
        duration_s: float,
        grace_s: float | None = None,
        aliens: Aliens | None = None,
        errs: bool = False,
        nemesis: type[Nemesis] = Nemesis,
        clients: int = CLIENTS,
        sets_clocks: bool = False,
    ) -> None:
        self.cluster = cluster
        self._aliens = aliens
        self._errs = errs
        self._sets_clocks = sets_clocks
        self.rng = cluster.rng
        self.duration_s = duration_s
        self.clients = clients
        self.registers = {f"k{number}".encode(): Register() for number in range(keys)}
        self.seen: Counter[str] = Counter()
        self._peace_s = 0.0 if grace_s is None else LASTING * grace_s
        self._onlooker = Onlooker(cluster, self.registers, self.seen, *(() if grace_s is None else (grace_s,)))
        self._views = AcknowledgedViews(cluster)
        self._peace = Peace(cluster, self.registers, self._onlooker, self._views, self.seen)
        self._nemesis = nemesis
        self._written = 0
        self._recent: deque[bytes] = deque(maxlen=RECENT_KEYS)
        self._stopping = False

    async def run(self) -> None:
        """Raises Violation."""
        if self._aliens is not None:
            await self._aliens.found()
        for machine in self.cluster.machines.values():
            machine.start()
        rounds = self.rng.randint(1, ROUNDS_MAX)
        for _ in range(rounds):
            await self._make_trouble(self.duration_s / rounds)
            await self._peace.make()
            if self._aliens is not None:
                self._aliens.check()
            if self._peace_s:
                await self._peace.last(self._peace_s)
        await self._peace.change_views()

    async def _make_trouble(self, duration_s: float) -> None:
        self._stopping = False
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.clients):
                tasks.create_task(self._client(f"c{number}"))
            nemesis = self._nemesis(self.cluster, self.seen, self._views, self._aliens, self._errs, self._sets_clocks)
            await nemesis.run(until=self.cluster.loop.now + duration_s)
            self._stopping = True

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
        glance = self._onlooker.glance(key, machine.address)
        try:
            outcome = await machine.ask(lambda node: read(node, key))
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.seen["reads without answer"] += 1
            self._tell(client, f"gets {key.decode()}", machine, fault)
            self._onlooker.check_time(glance, machine.address)
            self._onlooker.check_failure(glance, machine.address, fault, is_write=False)
            return
        self._tell(client, f"gets {key.decode()}", machine, outcome)
        assert isinstance(outcome.answer, ReadResult)
        self.seen["reads"] += 1
        self._onlooker.check_time(glance, machine.address)
        self._onlooker.check_read(glance, outcome.served_by or machine.address, outcome.answer.value)

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
        glance = self._onlooker.glance(key, machine.address)
        attempt = Attempt(value, glance.began)
        register.attempts.append(attempt)
        register.history.append(value)
        what = f"puts {key.decode()} = {value.decode()}" if value is not None else f"deletes {key.decode()}"
        self._tell(client, what, machine)
        stamper = self._onlooker.stamper(machine.address)
        try:
            outcome = await machine.ask(lambda node: node.router.write(key, value))
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.seen["writes without answer"] += 1
            self._tell(client, what, machine, fault)
            self._onlooker.check_time(glance, machine.address)
            self._onlooker.check_failure(glance, machine.address, fault, is_write=True)
            if isinstance(fault, Unavailable) and fault.has_not_happened:
                self.seen["writes that have not happened"] += 1  # So that nobody may see them.
                register.attempts = [other for other in register.attempts if other is not attempt]
            return
        self.seen["writes"] += 1
        self._tell(client, what, machine, outcome)
        self._onlooker.check_time(glance, machine.address)
        self._judge(register, attempt, glance, outcome, outcome.served_by or machine.address, stamper)

    def _judge(
        self,
        register: Register,
        attempt: Attempt,
        glance: Glance,
        outcome: Outcome,
        owner: Address,
        stamper: int,
    ) -> None:
        """Take note of a write that was acknowledged. Raises Violation."""
        key, answer = glance.key, outcome.answer
        earlier, earlier_version = register.acknowledged, register.version
        found = answer.replaced if isinstance(answer, Wrote) else not isinstance(answer, NothingDeleted)
        saw_all = self._onlooker.check_found(glance, owner, attempt, found)
        if isinstance(answer, NothingDeleted):
            if self._onlooker.is_somewhere(key, register.possible - {None}):
                return  # It was not seen, nothing was written, and it may come back: with nodes that were passed over.
            version = glance.version if earlier is None else None
            register.acknowledge(attempt, version, owner, self.cluster.loop.now)
            return
        version = self._onlooker.version_of(owner, attempt, key, stamper)
        self._onlooker.check_copies(glance, owner, version)
        in_order = self._onlooker.check_order(glance, owner, version)
        register.acknowledge(attempt, version, owner, self.cluster.loop.now)
        if not (saw_all and in_order):
            # With clocks apart, it may yet win.
            register.attempts.append(Attempt(earlier, attempt.since, None if in_order else earlier_version))

    def _tell(self, client: str, what: str, machine: Machine, end: Outcome | Exception | None = None) -> None:
        if self.cluster.traced:
            told = brief(end.answer) if isinstance(end, Outcome) else repr(end) if end else "..."
            self.cluster.note(f"{client} {what} through {name_of(machine.address)}: {told}")
