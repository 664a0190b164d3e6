"""What goes wrong: processes that are killed or paused, links that are cut, disks that are slow, full, lost, older than
they were, or fail, views and numbers of copies that change; and coordinators that are struck at a step of their change.

Faults come one after the other at random times and overlap. Every one counts itself in `seen` when it really happens,
so that the report tells which seeds were worth their time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gossip.view import Address
from node.errors import Conflict, RequestFault, StorageFault
from node.net.messages import Push, Request
from tests.sim.acknowledged import AcknowledgedViews, Asked
from tests.sim.changing import change
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.disk import SLOW_SYNC_S, SYNC_S
from tests.sim.losses import Losses, is_spared, outlives_its_hosts
from tests.sim.steps import Snare, Step
from tests.sim.trace import name_of, names_of, view_name
from tests.sim.wrong_clocks import WrongClocks

if TYPE_CHECKING:
    from tests.sim.aliens import Aliens

PAUSE_S = 1.0
"""From one fault to the next, on average."""
PAUSES_S = (0.2, 0.6, 1.5, 5.0) * 4 + (20.0,)
"""How long a process is paused at most: shorter and longer than every time that the nodes or clients wait."""
FACTOR_MAX = 3
FOUNDED_S = 2.0
"""For nodes that were just started to meet, and to write down who founded their store: before that, they may as well
be new ones of another store that knows one of their addresses."""
ALIENS_S_MAX = 5.0
"""Another store's node has the address of a machine for so long at most."""
OLDER_S_MAX = 6.0
"""How much older a disk is at most that comes back older: far less than the time for which deletions are remembered."""
CHANGE_S = 6.0
"""Who asked for a view change waits for its end for so long."""

STEPS = (Step.PROMISE, Step.PROMISES, Step.STORED, Step.PUSHED, Step.MOVING, Step.SETTLING)
"""At which a coordinator is struck; `upheaval` strikes others too, and at more steps."""


class Nemesis:
    cut_s_max = 3.0

    def __init__(
        self,
        cluster: Cluster,
        seen: Counter[str],
        views: AcknowledgedViews,
        aliens: Aliens | None = None,
        errs: bool = False,
        sets_clocks: bool = False,
    ) -> None:
        """`aliens`: another store, which has the address of a machine now and then. `errs`: whoever starts a machine
        anew may tell it a wrong `VIEW`. `sets_clocks`: clocks are wrong for a while, and machines suspended."""
        self._cluster = cluster
        self._aliens = aliens
        self._errs = errs
        self._views = views
        self._rng = cluster.rng
        self._seen = seen
        self._began = cluster.loop.now
        self._machines: Sequence[Machine] = list(cluster.machines.values())
        self._under_way = asyncio.TaskGroup()
        self._losses = Losses(cluster, seen, lambda: aliens is not None and aliens.are_here and aliens.is_namesake)
        self._wrong = 0
        """How many wrong environments there were."""
        self._faults: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._crash,
            self._freeze,
            self._cut,
            self._isolate,
            self._lose_disk,
            self._put_disk_back,
            self._fill_disk,
            self._strike_disk,
            self._slow_disk,
            self._change_view,
            self._strike_coordinator,
            self._strike_move,
        ]
        if any(len(machines) > 1 for machines in cluster.hosts()):
            self._faults += [self._lose_host] * 3
        if aliens is not None:
            self._faults += [self._reuse_address] * 2
        if cluster.disks_fail:
            self._faults += [self._fail_disk] * 2
        self._clocks = WrongClocks(cluster, seen, cluster.rng) if sets_clocks else None
        if self._clocks is not None:
            self._faults += self._clocks.faults

    async def run(self, until: float) -> None:
        """Do harm until then, and wait until the last of it is over."""
        async with self._under_way:
            while True:
                await asyncio.sleep(self._rng.uniform(0, 2 * PAUSE_S))
                if self._cluster.loop.now > until:
                    return
                self._under_way.create_task(self._rng.choice(self._faults)())

    def _begin(self, work: Callable[[Machine], Coroutine[Any, Any, None]], machine: Machine) -> None:
        self._under_way.create_task(work(machine))

    # Processes

    async def _crash(self) -> None:
        machine = self._rng.choice(self._machines)
        if machine.host is not None and not machine.host.frozen:
            self._seen["crashes"] += 1
            machine.crash()
            await self._restart(machine)

    async def _restart(self, machine: Machine) -> None:
        await asyncio.sleep(self._rng.choice([0.01, 0.3, 1.0, 3.0]) * self._rng.random())
        if machine.host is None and not self._is_displaced(machine):
            if self._errs:
                self._err(machine)
            machine.start()

    def _err(self, machine: Machine) -> None:
        """Tell it any nodes, and one that does not exist; but with one among them that has all its data: nobody can
        tell a node that has nothing, and knows nobody, from a new one."""
        sound = [other.address for other in self._machines if other not in (machine, *self._losses.unfilled())]
        told = {self._rng.choice(sound), *self._rng.sample(sorted(self._cluster.machines), self._rng.randint(1, 4))}
        self._wrong += 1
        view = tuple(sorted({*told, f"x{self._wrong}:1"}))
        self._seen["wrong environments"] += 1
        self._cluster.note(f"{name_of(machine.address)} is told {names_of(view)}")
        machine.config = replace(machine.config, view=view)

    def _is_displaced(self, machine: Machine) -> bool:
        return self._aliens is not None and self._aliens.are_here and machine.address == self._aliens.address

    async def _reuse_address(self) -> None:
        """A machine dies, and a node of another store has its address before it is back."""
        assert self._aliens is not None
        machine = self._cluster.machines[self._aliens.address]
        is_followed = self._aliens.is_namesake and self._losses.unfilled()
        may_come = self._cluster.loop.now - self._began > FOUNDED_S and not is_followed
        if machine.runs and not self._aliens.are_here and may_come:
            self._seen["addresses used again"] += 1
            machine.crash()
            await self._aliens.visit(self._rng.uniform(0.5, ALIENS_S_MAX))
            await self._restart(machine)

    async def _freeze(self) -> None:
        machine = self._rng.choice(self._machines)
        if machine.runs:
            self._seen["pauses"] += 1
            machine.freeze()
            await self._thaw(machine)

    async def _thaw(self, machine: Machine) -> None:
        await asyncio.sleep(self._rng.choice(PAUSES_S) * self._rng.random())
        machine.thaw()

    # The network

    async def _cut(self) -> None:
        one, other = self._rng.sample(sorted(self._cluster.machines), 2)
        both_ways = self._rng.random() < 0.6
        self._seen["cuts" if both_ways else "one-way cuts"] += 1
        self._cluster.cut(one, other, both_ways)
        await asyncio.sleep(self._rng.uniform(0.1, self.cut_s_max))
        self._cluster.mend(one, other)

    async def _isolate(self) -> None:
        """Some cannot talk to the others, or not be heard by them."""
        addresses = sorted(self._cluster.machines)
        side = set(self._rng.sample(addresses, self._rng.randint(1, len(addresses) // 2)))
        pairs = [(one, other) for one in addresses if one in side for other in addresses if other not in side]
        both_ways = self._rng.random() < 0.7
        self._seen["partitions" if both_ways else "one-way partitions"] += 1
        turned = self._rng.random() < 0.5
        for one, other in pairs:
            self._cluster.cut(*((other, one) if turned else (one, other)), both_ways)
        await asyncio.sleep(self._rng.uniform(0.1, self.cut_s_max))
        for one, other in pairs:
            self._cluster.mend(one, other)

    # Disks

    async def _fill_disk(self) -> None:
        machine = self._rng.choice(self._machines)
        self._seen["full disks"] += 1
        self._cluster.fault(f"the disk of {name_of(machine.address)} is full", machine)
        machine.disk.full, machine.disk.exhausted = True, self._rng.random() < 0.3
        await asyncio.sleep(self._rng.uniform(0.05, 0.5))
        self._relieve(machine)

    def _relieve(self, machine: Machine) -> None:
        machine.disk.full = machine.disk.exhausted = machine.disk.hung = machine.disk.failing = False
        machine.disk_troubled_at = self._cluster.loop.now
        self._cluster.fault(f"the disk of {name_of(machine.address)} is well again", machine)

    async def _fail_disk(self) -> None:
        """For a while, its commits fail; half of these machines crash before one has succeeded again."""
        machine = self._rng.choice(self._machines)
        self._seen["failing disks"] += 1
        self._cluster.fault(f"the disk of {name_of(machine.address)} fails", machine)
        machine.disk.failing = True
        await asyncio.sleep(self._rng.uniform(0.05, 0.5))
        if machine.runs and self._rng.random() < 0.5:
            self._seen["crashes with a commit in doubt"] += bool(machine.disk.doubtful)
            machine.crash()
            self._begin(self._restart, machine)
        self._relieve(machine)

    async def _strike_disk(self) -> None:
        """Have a view changed, and one side's disk fill up or hang as records are on their way, for longer than anybody
        waits; then somebody has it changed again."""
        hangs, receives = self._rng.random() < 0.4, self._rng.random() < 0.8
        batches, struck = self._rng.randint(1, 4), list[Machine]()

        def sent(sender: Address, to: Address, request: Request) -> None:
            nonlocal batches
            if isinstance(request, Push) and request.records:
                batches -= 1
                machine = self._cluster.machines[to if receives else sender]
                if batches == 0 and not machine.disk.ill:
                    struck.append(machine)
                    how = "hangs" if hangs else "is full"
                    self._seen[f"disks that {'hang' if hangs else 'fill up'} in a move"] += 1
                    self._cluster.fault(f"the disk of {name_of(machine.address)} {how}", machine)
                    machine.disk.hung, machine.disk.full = hangs, not hangs

        self._cluster.network.watchers.append(sent)
        try:
            await self._change(self._rng.choice(self._machines))
        finally:
            self._cluster.network.watchers.remove(sent)
        if struck:
            await asyncio.sleep(self._rng.choice([0.5, 5.0, 20.0]) * self._rng.random())
            await self._change(self._rng.choice(self._machines))
            self._relieve(struck[0])

    async def _lose_disk(self) -> None:
        """Machines die with their disks, and come back with empty ones: one, or with three copies two. No more than
        that until they hold all again that they should; and only while all that they had is on another owner's disk
        as well: no more is promised."""
        losses = min(self._losses.spare(), self._rng.randint(1, FACTOR_MAX - 1))
        for machine in self._rng.sample(self._machines, len(self._machines)):
            if losses > 0 and machine.runs and is_spared(self._cluster, machine):
                losses -= 1
                machine.crash()
                self._losses.lose(machine)
                self._begin(self._restart, machine)

    async def _put_disk_back(self) -> None:
        """A machine dies, and comes back with a copy of its disk that was made a while ago; with the same limits."""
        machine = self._rng.choice(self._machines)
        older = machine.disk.copy()
        await asyncio.sleep(self._rng.uniform(0.0, OLDER_S_MAX))
        if machine.runs and machine.lost_at < self._cluster.loop.now - OLDER_S_MAX and self._losses.may_lose(machine):
            machine.crash()
            self._losses.put_back(machine, older)
            await self._restart(machine)

    async def _lose_host(self) -> None:
        """All machines of one host die with their disks, and come back with empty ones, if the copies have to allow it
        and everybody has caught up. Whether they do allow it is not asked: it is what the store has to see to."""
        host = self._rng.choice(self._cluster.hosts())
        if outlives_its_hosts(self._cluster):
            self._seen["lost hosts"] += 1
            self._cluster.note(f"all of {names_of([machine.address for machine in host])} is lost")
            for machine in host:
                if machine.host is not None:
                    machine.crash()
                    self._losses.lose(machine)
                    self._begin(self._restart, machine)

    async def _slow_disk(self) -> None:
        machine = self._rng.choice(self._machines)
        self._seen["slow disks"] += 1
        self._cluster.fault(f"the disk of {name_of(machine.address)} is slow", machine)
        machine.disk.sync_s = SLOW_SYNC_S
        await asyncio.sleep(self._rng.uniform(0.2, 2.0))
        if machine.runs and self._rng.random() < 0.5:
            self._seen["crashes with much to be written"] += 1
            machine.crash()
            self._begin(self._restart, machine)
        machine.disk.sync_s, machine.disk_troubled_at = SYNC_S, self._cluster.loop.now
        self._cluster.fault(f"the disk of {name_of(machine.address)} is quick again", machine)

    # Views

    async def _change_view(self) -> None:
        await self._change(self._rng.choice(self._machines))

    async def _change(self, machine: Machine) -> None:
        nodes = self._rng.sample(sorted(self._cluster.machines), self._rng.randint(1, len(self._machines)))
        factor = self._rng.randint(1, min(FACTOR_MAX, len(nodes))) if self._rng.random() < 0.4 else None
        await self._change_to(machine, nodes, factor)

    async def _change_to(self, machine: Machine, nodes: Collection[Address], factor: int | None = None) -> bool:
        """Whether it has been answered as done."""
        wanted = names_of(sorted(nodes)) + (f" with {factor} copies" if factor else "")
        self._cluster.note(f"view change to {wanted} asked of {name_of(machine.address)}")
        asked_at = self._cluster.loop.now
        try:
            settled = await machine.ask(lambda node: change(node, nodes, factor), CHANGE_S)
        except (RequestFault, NoAnswer, StorageFault) as fault:
            self._seen["view changes refused" if isinstance(fault, Conflict) else "view changes failed"] += 1
            self._cluster.note(f"view change asked of {name_of(machine.address)}: {fault!r}")
            return False
        self._seen["view changes"] += 1
        self._views.acknowledge(settled.view, Asked(machine.address, asked_at, frozenset(nodes), factor))
        self._seen["view changes with another number of copies"] += factor is not None
        view = view_name(settled.view.id)
        self._cluster.note(f"view change asked of {name_of(machine.address)}: {view} is settled")
        return True

    async def _strike_coordinator(self) -> None:
        """Have a view changed, and kill or pause its coordinator when it comes to some step."""
        machine = self._rng.choice(self._machines)
        step, kill = self._rng.choice(STEPS), self._rng.random() < 0.7

        loop = self._cluster.loop

        def strike() -> None:
            if machine.runs:
                how = "killed" if kill else "paused"
                self._seen[f"coordinators {how} {step.value}"] += 1
                self._cluster.note(f"{name_of(machine.address)} is a coordinator, {step.value}")
                (machine.crash if kill else machine.freeze)()
                loop.call_soon(self._begin, self._restart if kill else self._thaw, machine, context=loop.nobody)

        snare = Snare(self._cluster, machine, step, strike)
        try:
            await self._change(machine)
        finally:
            snare.remove()

    async def _strike_move(self) -> None:
        """Have a view changed, and kill or pause one side of a transfer as records are on their way."""
        kill, receives = self._rng.random() < 0.7, self._rng.random() < 0.7
        batches = self._rng.randint(1, 4)
        loop = self._cluster.loop

        def sent(sender: Address, to: Address, request: Request) -> None:
            nonlocal batches
            if isinstance(request, Push) and request.records:
                batches -= 1
                machine = self._cluster.machines[to if receives else sender]
                if batches == 0 and machine.runs:
                    self._seen[f"{'owners' if receives else 'donors'} {'killed' if kill else 'paused'} in a move"] += 1
                    (machine.crash if kill else machine.freeze)()
                    loop.call_soon(self._begin, self._restart if kill else self._thaw, machine, context=loop.nobody)

        self._cluster.network.watchers.append(sent)
        try:
            await self._change(self._rng.choice(self._machines))
        finally:
            self._cluster.network.watchers.remove(sent)
