"""What goes wrong about views: the steps of a change, and what is asked of a cluster while not everybody is there.

Whoever has a part in a change is killed, paused, cut off, emptied or filled at each of its steps. A coordinator and
others are gone amid a change, and the rest goes on without them. Nodes are removed while they are down, come back with
their disks or with empty ones, and are taken in again. Several change the view at once. Disks are lost one after the
other, those of former owners too.

Most of this happens without any cut, so that what was acknowledged can be demanded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from gossip.view import Address
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.cluster import Cluster, Machine
from tests.sim.nemesis import FACTOR_MAX, Nemesis
from tests.sim.steps import Part, Snare, Step
from tests.sim.trace import name_of

if TYPE_CHECKING:
    from tests.sim.aliens import Aliens

CUTS_SHARE = 0.25
"""In so many of the runs there are cuts as well."""
FULL_S = 1.5
"""How long a disk is full at most that was filled at some step."""
AWAY_S = (0.1, 0.7, 1.5, 3.0)
"""How long somebody is away who is left behind by the others: less and more than makes a node unreachable."""


class Harm(Enum):
    KILL = "killed"
    PAUSE = "paused"
    CUT = "cut off"
    EMPTY = "emptied"
    FILL = "filled"


class Upheaval(Nemesis):
    def __init__(
        self,
        cluster: Cluster,
        seen: Counter[str],
        views: AcknowledgedViews,
        aliens: Aliens | None = None,
        errs: bool = False,
        sets_clocks: bool = False,
    ) -> None:
        super().__init__(cluster, seen, views, aliens, errs, sets_clocks)
        has_cuts = self._rng.random() < CUTS_SHARE
        self._harms = [Harm.KILL, Harm.KILL, Harm.PAUSE, Harm.PAUSE, Harm.EMPTY, Harm.FILL]
        self._faults = [
            *[self._strike] * 5,
            *[self._go_on_without] * 3,
            *[self._remove_and_take_in] * 3,
            *[self._fill_amid_change] * 2,
            self._change_by_rivals,
            self._change_view,
            self._crash,
            self._freeze,
            self._slow_disk,
            *[self._lose_disk] * 2,
            self._put_disk_back,
        ]
        if aliens is not None:
            self._faults += [self._reuse_address] * 2
        if self._clocks is not None:
            self._faults += self._clocks.faults
        if has_cuts:
            self._harms.append(Harm.CUT)
            self._faults += [self._isolate, self._cut]

    # One of those who have a part in a change

    async def _strike(self) -> None:
        """Have a view changed, and harm somebody who has a part in it when it comes to some step."""
        coordinator, step = self._rng.choice(self._machines), self._rng.choice(list(Step))
        part, harm = self._rng.choice(list(Part)), self._rng.choice(self._harms)

        def spring() -> None:
            machine = self._cluster.machines.get(snare.parts.get(part, ""))
            if machine is not None and machine.runs:
                self._cluster.note(f"{name_of(machine.address)}, one of the {part.value}, {step.value}")
                self._seen[f"{part.value} {harm.value} {step.value}"] += 1
                self._do(harm, machine)

        snare = Snare(self._cluster, coordinator, step, spring)
        try:
            await self._change(coordinator)
        finally:
            snare.remove()

    def _do(self, harm: Harm, machine: Machine) -> None:
        """At once, as whatever the machine is doing goes on; what undoes it comes later."""
        match harm:
            case Harm.PAUSE:
                machine.freeze()
                self._undo(self._thaw, machine)
            case Harm.CUT:
                for other in sorted(self._cluster.machines.keys() - {machine.address}):
                    self._cluster.cut(machine.address, other)
                self._undo(self._reach_again, machine)
            case Harm.FILL:
                self._cluster.fault(f"the disk of {name_of(machine.address)} is full", machine)
                machine.disk.full, machine.disk.exhausted = True, self._rng.random() < 0.5
                self._undo(self._make_room, machine)
            case Harm.KILL | Harm.EMPTY:
                is_lost = harm is Harm.EMPTY and self._losses.may_lose(machine)
                machine.crash()
                if is_lost:
                    self._losses.lose(machine)
                self._undo(self._restart, machine)

    def _undo(self, work: Callable[[Machine], Coroutine[Any, Any, None]], machine: Machine) -> None:
        loop = self._cluster.loop
        loop.call_soon(self._begin, work, machine, context=loop.nobody)

    async def _reach_again(self, machine: Machine) -> None:
        await asyncio.sleep(self._rng.uniform(0.1, self.cut_s_max))
        for other in sorted(self._cluster.machines.keys() - {machine.address}):
            self._cluster.mend(machine.address, other)

    async def _make_room(self, machine: Machine) -> None:
        await asyncio.sleep(self._rng.uniform(0.05, FULL_S))
        self._relieve(machine)

    async def _fill_amid_change(self) -> None:
        """Somebody's disk is full when a new view comes."""
        coordinator, machine = self._rng.sample(self._machines, 2)

        def spring() -> None:
            self._seen["full disks as a view is made"] += 1
            self._do(Harm.FILL, machine)

        snare = Snare(self._cluster, coordinator, Step.STORED, spring)
        try:
            await self._change(coordinator)
        finally:
            snare.remove()

    # Disks, one after the other

    def _start_again(self, machine: Machine) -> None:
        if machine.host is None and not self._is_displaced(machine):
            machine.start()

    # Those who are left behind

    async def _go_on_without(self) -> None:
        """At some step of a change its coordinator, and perhaps others, are gone. The rest changes the view without
        them, be it at once or when their promises are void; and then, or at some step of that, they are back."""
        coordinator, step = self._rng.choice(self._machines), self._rng.choice(list(Step))
        others = [machine for machine in self._machines if machine is not coordinator]
        gone = [coordinator, *self._rng.sample(others, self._rng.randint(0, len(others) - 1))]
        is_pause = self._rng.random() < 0.6

        def spring() -> None:
            self._cluster.note(f"{name_of(coordinator.address)} is a coordinator, {step.value}")
            self._seen[f"some {'paused' if is_pause else 'killed'} {step.value}"] += 1
            for machine in gone:
                if machine.runs:
                    (machine.freeze if is_pause else machine.crash)()

        snare = Snare(self._cluster, coordinator, step, spring)
        try:
            await self._change(coordinator)
        finally:
            snare.remove()
        void_s = coordinator.config.promise_s + 1.0
        await asyncio.sleep(void_s if self._rng.random() < 0.5 else self._rng.choice(AWAY_S))
        await self._change_until_they_return(gone)
        await self._change_among([machine for machine in self._machines if machine.runs])

    async def _change_until_they_return(self, gone: Sequence[Machine]) -> None:
        """Those who are there change the view. Perhaps at some step of that, else afterwards, the others are back, and
        whoever makes the change may just then be paused."""
        present = [machine for machine in self._machines if machine.runs]
        if present:
            coordinator, is_paused = self._rng.choice(present), self._rng.random() < 0.5

            def spring() -> None:
                self._seen["returns amid a change"] += 1
                if is_paused and coordinator.runs:
                    coordinator.freeze()
                    self._undo(self._thaw, coordinator)
                self._undo_all(gone)

            snare = Snare(self._cluster, coordinator, self._rng.choice(list(Step)), spring)
            try:
                if self._rng.random() < 0.5:
                    snare.remove()
                await self._change_to(coordinator, *self._wish(present))
            finally:
                snare.remove()
        await asyncio.sleep(self._rng.choice(AWAY_S))
        self._bring_back(gone)

    def _undo_all(self, gone: Sequence[Machine]) -> None:
        loop = self._cluster.loop
        loop.call_soon(self._bring_back, gone, context=loop.nobody)

    def _bring_back(self, gone: Sequence[Machine]) -> None:
        for machine in gone:
            machine.thaw()
            self._start_again(machine)

    def _wish(self, present: Sequence[Machine]) -> tuple[list[Address], int | None]:
        """Some of these, and perhaps a number of copies."""
        nodes = sorted(machine.address for machine in self._some_of(present))
        factor = self._rng.randint(1, min(FACTOR_MAX, len(nodes))) if self._rng.random() < 0.4 else None
        return nodes, factor

    async def _change_among(self, present: Sequence[Machine]) -> None:
        """To some of these, by one of these."""
        if present:
            await self._change_to(self._rng.choice(present), *self._wish(present))

    async def _remove_and_take_in(self) -> None:
        """A node that is down, or paused, is removed; comes back as it was, or with an empty disk; and is taken in
        again, by itself or others, at once or when it has had the time to come home."""
        away = self._rng.choice(self._machines)
        if not away.runs:
            return
        is_pause, is_lost = self._rng.random() < 0.3, self._rng.random() < 0.3
        (away.freeze if is_pause else away.crash)()
        await asyncio.sleep(self._rng.choice(AWAY_S) * self._rng.random())
        for _ in range(self._rng.randint(1, 2)):
            await self._change_among([machine for machine in self._machines if machine.runs and machine is not away])
        await asyncio.sleep(self._rng.choice(AWAY_S) * self._rng.random())
        away.thaw()
        if away.host is None and is_lost and self._losses.may_lose(away):
            self._losses.lose(away)
        self._start_again(away)
        self._seen["removed nodes back"] += 1
        while away.node is None and away.host is not None:
            await asyncio.sleep(0.0005)
        if self._rng.random() < 0.5:
            await asyncio.sleep(self._rng.choice(AWAY_S) * self._rng.random())
        if away.runs:
            present = [machine for machine in self._machines if machine.runs]
            asked = [away] if self._rng.random() < 0.5 else present
            nodes = {away.address, *(machine.address for machine in self._some_of(present))}
            self._seen["removed nodes taken in again"] += await self._change_to(
                self._rng.choice(asked), sorted(nodes), None
            )

    def _some_of(self, machines: Sequence[Machine]) -> Sequence[Machine]:
        return self._rng.sample(list(machines), self._rng.randint(1, len(machines)))

    async def _change_by_rivals(self) -> None:
        """Two changes are asked for at once."""
        self._seen["rivals"] += 1
        async with asyncio.TaskGroup() as tasks:
            for machine in self._rng.sample(self._machines, 2):
                tasks.create_task(self._change(machine))
