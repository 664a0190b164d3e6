"""Clocks that are set ahead or back for a while, one or all at once, and machines that are suspended.

A suspended machine runs nothing. When it goes on, its wall clock shows the time; whether its monotonic clock went on
too is a matter of what has suspended it: the lid of a laptop, or another machine on which it runs.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.sim.cluster import Cluster, Machine
from tests.sim.onlooker import RECOVERY_S
from tests.sim.trace import name_of

STEPS_S = (3, 90, 3600, 20 * 3600, 365 * 86_400)
"""By how much a clock is set at most: less than what is believed of one alone, and more; less and more than what a
context may name."""
STEPS_OF_ALL_S = STEPS_S[:-1]
"""What all clocks show at once is believed: a year later nothing is where it was."""
WRONG_S = (0.5, 3.0, 15.0, 60.0)
"""How long it stays so at most."""
SUSPENDED_S = (0.3, 0.6, 2.0, 6.0)
STANDS_STILL_S_MIN = 0.45
"""A machine whose monotonic clock stands still for less than a pause does not notice that it was away. No machine does
so whose wall clock shows the time at once."""
NOTICED_S = 0.06
"""A node that does nothing looks at its clocks within this."""


class WrongClocks:
    """`seen` counts them. Faults for a nemesis, which waits for the end of each."""

    def __init__(self, cluster: Cluster, seen: Counter[str], rng: random.Random) -> None:
        self._cluster = cluster
        self._seen = seen
        self._rng = rng
        self._machines: Sequence[Machine] = list(cluster.machines.values())
        self._wrong: set[Machine] = set()
        self.faults: list[Callable[[], Coroutine[Any, Any, None]]] = [self._set_one] * 2 + [
            self._set_all,
            self._suspend,
        ]

    async def _set_one(self) -> None:
        machine = self._rng.choice(self._machines)
        step_s = int(self._rng.choice(STEPS_S) * self._rng.uniform(0.5, 1.0))
        is_ahead = self._rng.random() < 0.6
        if self._wrong:
            return  # Two that are wrong together may confirm each other.
        self._seen[f"clocks set {'ahead' if is_ahead else 'back'}"] += 1
        reach_s = machine.config.clock_reach_ms / 1000
        # Who is ahead of all others by more than what is believed stamps nothing, or goes by what was before.
        self._cluster.clock_gap_s += min(step_s, reach_s) if is_ahead else step_s
        await self._be_wrong([machine], step_s if is_ahead else -step_s)

    async def _set_all(self) -> None:
        step_s = int(self._rng.choice(STEPS_OF_ALL_S) * self._rng.uniform(0.5, 1.0))
        if self._wrong:
            return
        self._seen["clocks of all set"] += 1
        self._cluster.clock_gap_s += step_s
        await self._be_wrong(self._machines, step_s if self._rng.random() < 0.6 else -step_s)

    async def _be_wrong(self, machines: Sequence[Machine], step_s: int) -> None:
        self._wrong.update(machines)
        self._set(machines, step_s)
        await asyncio.sleep(self._rng.choice(WRONG_S) * self._rng.random())
        self._set(machines, -step_s)
        self._wrong.difference_update(machines)

    def _set(self, machines: Sequence[Machine], step_s: int) -> None:
        for machine in machines:
            asks = self._cluster.loop.now - machine.troubled_at <= RECOVERY_S + NOTICED_S
            self._cluster.fault(f"the clock of {name_of(machine.address)} is set by {step_s:+} s", machine)
            machine.time.set_wall_ahead(1000 * step_s)
            # One that is still asking around asks once more when it has done so.
            machine.troubled_at += NOTICED_S + (machine.config.recovery_s if asks else 0.0)

    async def _suspend(self) -> None:
        machine = self._rng.choice(self._machines)
        if not machine.runs or machine in self._wrong:
            return
        stands_still = self._rng.random() < 0.5
        self._seen[f"suspended machines whose monotonic clock {'stands still' if stands_still else 'goes on'}"] += 1
        began, host = self._cluster.loop.now, machine.host
        machine.freeze()
        suspended_s = self._rng.choice(SUSPENDED_S) * self._rng.random()
        await asyncio.sleep(max(suspended_s, STANDS_STILL_S_MIN) if stands_still else suspended_s)
        if machine.host is host:
            if stands_still:
                machine.stood_still_until = self._cluster.loop.now + NOTICED_S
                machine.time.stand_still(self._cluster.loop.now - began)
            machine.thaw()
