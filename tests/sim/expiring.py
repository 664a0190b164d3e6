"""Clients that put keys which expire, and read, list, overwrite and delete them, while nodes are killed, paused, moved
and cut off, with clocks apart: after its time nobody is told of a key, and before it, it is there.

When a key expires, nobody can say to the millisecond: between the slowest and the fastest of all clocks. So what may be
told is judged by both: a value not any more once even the slowest shows that its time is over, and "there is none" not
before the fastest shows that it may be. Each key has one write at a time.

Where nothing is cut, and one machine at a time is in trouble, what is told must also be what was written last. Where
there are cuts, that is demanded at the end: all copies alike, and as the newest of them says. At any time, no disk
holds again a value that had expired on it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from math import inf

from node.errors import StorageFault, Unavailable
from node.net.messages import NothingDeleted, ReadResult, Wrote
from node.operations.listing import Page
from node.values.record import Record
from node.values.version import Version
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.contention import OneAtATime
from tests.sim.losses import newest_view
from tests.sim.nemesis import Nemesis
from tests.sim.peace import HEAL_S, heal, read
from tests.sim.registers import SPENT_S, Violation
from tests.sim.trace import name_of

CLIENTS, KEYS = 8, 24
THINK_S = 0.02
TTL_MS_MIN, TTL_MS_MAX = 100, 2000
LISTINGS, READS, DELETES, STAYING = 0.04, 0.8, 0.02, 0.05
"""How many of the operations are these; of those that put something which is to stay. The rest put what expires."""
SLACK_MS = 400
"""What a node knows of another one's clock may be so old: as long as a message is on its way at most, and what is no
news."""
LOOK_S = 0.05
COUNTED_S = 1.0
"""Within this after its time a key is not counted any more, and its value is on no disk."""


class Put:
    """A write of a key; of a deletion, `value` is None. It expires between `ends_lo` and `ends_hi`, in milliseconds."""

    def __init__(self, value: bytes | None, called: float, ends_lo: float, ends_hi: float) -> None:
        self.value = value
        self.called = called
        self.answered = inf
        self.ends_lo, self.ends_hi = ends_lo, ends_hi

    def may_be_gone(self, hi_ms: float) -> bool:
        return self.value is None or self.ends_lo <= hi_ms

    def is_gone(self, lo_ms: float) -> bool:
        return self.value is None or self.ends_hi <= lo_ms


class Glance:
    """What is known when a request begins."""

    def __init__(self, now: float, lo_ms: float) -> None:
        self.now, self.lo_ms = now, lo_ms


class CutsToo(Nemesis):
    """Overlapping faults that leave disks as they are."""

    def __init__(self, cluster: Cluster, seen: Counter[str]) -> None:
        super().__init__(cluster, seen, AcknowledgedViews(cluster))
        one_by_one = [self._crash, self._freeze, self._fill_disk, self._slow_disk, self._change_view, self._strike_move]
        self._faults = [*one_by_one, self._cut, self._isolate, self._isolate]


class Expiring:
    """`cuts`: whether the network is cut too."""

    def __init__(self, cluster: Cluster, duration_s: float, cuts: bool) -> None:
        self.cluster = cluster
        self.seen: Counter[str] = Counter()
        self._rng = cluster.rng
        self._duration_s = duration_s
        self._cuts = cuts
        self._puts: dict[bytes, list[Put]] = {b"e%d" % number: [_nothing()] for number in range(KEYS)}
        self._busy: set[bytes] = set()
        self._written = 0
        self._stopping = False
        self._turned: dict[tuple[int, bytes], Version] = {}
        """By disk and key, the last version that has been there as one that had expired."""

    async def run(self) -> None:
        """Raises Violation."""
        for machine in self.cluster.machines.values():
            machine.start()
        looking = asyncio.ensure_future(self._look_on())
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(self._client())
            nemesis: Nemesis = (CutsToo if self._cuts else OneAtATime)(self.cluster, self.seen)
            await nemesis.run(until=self.cluster.loop.now + self._duration_s)
            self._stopping = True
        heal(self.cluster)
        await self._end()
        looking.cancel()

    # The time

    def _walls(self) -> list[int]:
        return [machine.time.wall_ms() for machine in self.cluster.machines.values()]

    def lo_ms(self) -> float:
        """No node's time for keys is behind this."""
        return min(self._walls()) - SLACK_MS

    def hi_ms(self) -> float:
        """Nor ahead of this."""
        return max(self._walls()) + SLACK_MS

    # Clients

    async def _client(self) -> None:
        machines = list(self.cluster.machines.values())
        while not self._stopping:
            await asyncio.sleep(self._rng.uniform(0, 2 * THINK_S))
            machine, key = self._rng.choice(machines), self._rng.choice(list(self._puts))
            what = self._rng.random()
            if what < LISTINGS:
                await self._list(machine)
            elif what < LISTINGS + READS or key in self._busy:
                await self._read(machine, key)
            else:
                self._busy.add(key)
                await self._write(machine, key, what > 1 - DELETES, what > 1 - DELETES - STAYING)
                self._busy.discard(key)

    def _glance(self) -> Glance:
        return Glance(self.cluster.loop.now, self.lo_ms())

    async def _read(self, machine: Machine, key: bytes) -> None:
        glance = self._glance()
        try:
            outcome = await machine.ask(lambda node: read(node, key))
        except (Unavailable, NoAnswer, StorageFault):
            self.seen["reads without answer"] += 1
            return
        assert isinstance(outcome.answer, ReadResult)
        self.seen["reads"] += 1
        self._check(f"read through {name_of(machine.address)}", key, outcome.answer.value, glance)

    async def _list(self, machine: Machine) -> None:
        glance = self._glance()
        try:
            page: Page = await machine.ask(lambda node: node.whole_store.lister.page(b"e", b"", 1000, True))
        except (Unavailable, NoAnswer, StorageFault):
            self.seen["listings without answer"] += 1
            return
        self.seen["listings"] += 1
        listed = {key: value for key, _, value in page.entries}
        for key in self._puts:
            self._check(f"listed through {name_of(machine.address)}", key, listed.get(key), glance)

    async def _write(self, machine: Machine, key: bytes, deletes: bool, is_to_stay: bool) -> None:
        self._written += 1
        value = None if deletes else b"%d" % self._written
        ttl_ms = None if is_to_stay else self._rng.randint(TTL_MS_MIN, TTL_MS_MAX)
        glance, before = self._glance(), self._candidates(key, self.cluster.loop.now, self.cluster.loop.now)
        stays = inf if ttl_ms is None else ttl_ms
        put = Put(value, glance.now, self.lo_ms() + stays, self.hi_ms() + 1000 * SPENT_S + stays)
        self._puts[key].append(put)
        try:
            outcome = await machine.ask(lambda node: node.router.write(key, value, ttl_ms=ttl_ms))
        except (Unavailable, NoAnswer, StorageFault):
            self.seen["writes without answer"] += 1
            return
        self.seen["writes" if ttl_ms is None else "writes of what expires"] += 1
        found = isinstance(outcome.answer, Wrote) and outcome.answer.replaced
        self._check_found(key, before, found, glance)
        if isinstance(outcome.answer, NothingDeleted):
            self._puts[key].remove(put)  # Elsewhere, by a slower clock, there may yet be something for a moment.
            return
        put.answered, put.ends_hi = self.cluster.loop.now, self.hi_ms() + stays

    # What is right

    def _candidates(self, key: bytes, began: float, ended: float) -> Sequence[Put]:
        """Those of the writes of a key that a read between these two times may tell of."""
        puts = [put for put in self._puts[key] if put.called <= ended]
        last = max(index for index, put in enumerate(puts) if put.answered <= began)
        unanswered = (put for put in puts[:last] if put.answered == inf and put.called > puts[last].called - SPENT_S)
        return [*unanswered, *puts[last:]]

    def _check(self, how: str, key: bytes, value: bytes | None, glance: Glance) -> None:
        """Raises Violation."""
        puts = self._candidates(key, glance.now, self.cluster.loop.now)
        of_all = next((put for put in self._puts[key] if put.value == value), None)
        if value is not None and (of_all is None or of_all.is_gone(glance.lo_ms)):
            raise Violation(f"{key!r} is {value!r}, {how}, {self._late_s(of_all, glance)} s after it had expired")
        if self._cuts:
            return
        if value is not None and of_all not in puts:
            raise Violation(f"{key!r} is {value!r}, {how}, which is not what was written last")
        if value is None and not any(put.may_be_gone(self.hi_ms()) for put in puts):
            raise Violation(f"{key!r} is gone, {how}, before its time: {[put.value for put in puts]}")
        self.seen["keys gone in time"] += value is None and puts[-1].value is not None

    def _late_s(self, put: Put | None, glance: Glance) -> float | None:
        return None if put is None else (glance.lo_ms - put.ends_hi) / 1000

    def _check_found(self, key: bytes, before: Sequence[Put], found: bool, glance: Glance) -> None:
        """Whether a write may say that it found, or did not find, a value: where only one can have been there."""
        if self._cuts or len(before) > 1:
            return
        if found and before[0].is_gone(glance.lo_ms):
            raise Violation(f"a write of {key!r} found {before[0].value!r}, which had expired")
        if not found and not before[0].may_be_gone(self.hi_ms()):
            raise Violation(f"a write of {key!r} did not find {before[0].value!r}, which had not expired")
        self.seen["writes after an expiry"] += not found and before[0].value is not None

    async def _look_on(self) -> None:
        """What has expired on a disk, and was a tombstone there, never lives there again: what one disk has handed over
        may come back from another that has yet to turn it, but has expired all the same."""
        while True:
            await asyncio.sleep(LOOK_S)
            for machine in self.cluster.machines.values():
                for key, record in machine.disk.records():
                    self._look_at(machine, key, record)

    def _look_at(self, machine: Machine, key: bytes, record: Record) -> None:
        place = id(machine.disk), key
        if record.is_live(int(self.hi_ms())) and record.version <= self._turned.get(place, b""):
            self.cluster.loop.failures.append(Violation(f"{key!r} is back on the disk of {machine.address}: {record}"))
        if not record.has_value and record.expires_ms is not None:
            self.seen["records turned"] += place not in self._turned
            self._turned[place] = record.version

    # The end

    async def _end(self) -> None:
        """All is well again: once all has expired that may, it is nowhere, and counted nowhere. Raises Violation."""
        await asyncio.sleep(HEAL_S + SPENT_S)
        while self.lo_ms() < max(self._ends()):
            await asyncio.sleep(0.1)
        await asyncio.sleep(COUNTED_S)
        for key, puts in self._puts.items():
            newest = self._newest(key)
            value = None if newest is None or newest.expires_ms is not None else newest.value
            if not self._cuts and value not in {put.value if put.ends_hi == inf else None for put in self._last(puts)}:
                raise Violation(f"{key!r} is {value!r} in the end, after {[put.value for put in puts[-3:]]}")
            for machine in self.cluster.machines.values():
                outcome = await machine.ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
                if outcome.answer.value != value:  # type: ignore[union-attr]
                    raise Violation(f"{key!r} through {machine.address} is {outcome.answer}, and should be {value!r}")
        self._check_disks()

    def _ends(self) -> Iterable[float]:
        return (put.ends_hi for puts in self._puts.values() for put in puts if put.ends_hi < inf)

    def _last(self, puts: Sequence[Put]) -> Sequence[Put]:
        """The last that was answered, and those that were not since, or before."""
        unanswered = takewhile(lambda put: put.answered == inf, reversed(puts))
        answered = next(put for put in reversed(puts) if put.answered < inf)
        return [*unanswered, answered, *(put for put in puts if put.answered == inf)]

    def _newest(self, key: bytes) -> Record | None:
        found = [record for machine in self.cluster.machines.values() if (record := machine.disk.record(key))]
        return max(found, key=lambda record: record.version, default=None)

    def _check_disks(self) -> None:
        values = Counter[bytes]()
        for machine in self.cluster.machines.values():
            for key, record in machine.disk.records():
                if record.has_value and record.expires_ms is not None:
                    raise Violation(f"{key!r} has expired, and its value is still on the disk of {machine.address}")
                values[key] += record.has_value
        nodes = {address: machine.node for address, machine in self.cluster.machines.items()}
        owners = [nodes[shard[0]] for shard in newest_view(self.cluster).shards]
        counted = sum(node.own_keys.count for node in owners if node is not None)
        if counted != sum(count > 0 for count in values.values()):
            raise Violation(f"{counted} keys are counted, of {values}")


def _nothing() -> Put:
    """Before anything is written."""
    nothing = Put(None, -inf, inf, inf)
    nothing.answered = -inf
    return nothing
