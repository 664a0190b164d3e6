"""Clients that watch keys which others put, delete and let expire, several at once, while nodes are killed, paused,
moved and cut off: who was told of no gap has been told of every version that was acknowledged, in order.

Whoever watches does so as a program would that keeps a copy: after each gap it lists what there is, and then does what
it is told. In the end each copy must be what there is. It leaves now and then, or its node dies, and it goes on from
where it was, through another one, or begins anew.

Where nothing is cut, and one machine at a time is in trouble, nobody who reads a key after somebody was told of it is
told something older.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from unittest.mock import patch

from gossip.view import Address, ViewId
from node.errors import StorageFault, Unavailable
from node.net.messages import NothingDeleted, ReadResult, Wrote
from node.operations.listing import Page
from node.replication import co_owners
from node.values.record import decode_record, version_of
from node.values.version import Version
from node.watching import expired, spreading
from node.watching.joint import FIRST, Event, Order
from node.watching.watcher import Gap, Told, Watcher
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.contention import OneAtATime
from tests.sim.expiring import CutsToo
from tests.sim.nemesis import Nemesis
from tests.sim.peace import HEAL_S, heal, read
from tests.sim.registers import Violation
from tests.sim.trace import name_of

CLIENTS, WATCHERS = 8, 4
KEYS = [b"%s%d" % (prefix, number) for prefix in (b"a", b"b") for number in range(4)]
PREFIXES = (b"", b"a", b"b", b"b1")
THINK_S = 0.02
READS, DELETES, EXPIRING = 0.3, 0.2, 0.2
"""How many of the operations are these; the rest put what stays."""
TTL_MS_MAX = 2000
STAYS_S = 3.0
"""How long a client watches through one node, on average."""
LOOK_S = 0.3
GOES_ON = 0.7
"""How many of those who come back go on from where they were."""
END_S = 12.0
"""After so long without faults all has expired that does, and everybody has been told of everything."""
REMEMBERED_MAX, SPREAD_MAX = 3, 3
"""Of so few keys a node remembers what it has brought or told, and what has spread: as in a store at work, it forgets
that again and again."""
REFUSALS = (Unavailable, NoAnswer, StorageFault)


class Story:
    """What one client has been told, and its copy of what there is."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.position: str | None = None
        """From where to go on; None: to begin anew."""
        self.copy: dict[bytes, Version] = {}
        self.told: set[tuple[bytes, Order]] = set()
        self.gap_at = 0.0
        """When there was one last."""
        self.must_list = True
        self._last: dict[bytes, Order] = {}
        """Of each key, since the last gap, and through this node: whoever goes on from a position may be told again,
        from there on, what it has been told."""

    def begin(self, now: float, position: str) -> None:
        """It watches again. `position`: of its node, from where it goes on if it had none."""
        if self.position is None:
            self.open(now, position)
        self._last = {}

    def open(self, now: float, position: str) -> None:
        """A gap."""
        self.position, self.gap_at, self.must_list = position, now, True
        self._last = {}

    def tell(self, item: Told) -> None:
        """Raises Violation."""
        event = item.event
        key, order = event.key, event.order
        last = self._last.get(key, FIRST)
        # What a donor has swept is new to who is brought it, and an expiry may be told twice.
        if order < last or (order == last and not event.is_expiry):
            raise Violation(f"{key!r}: told of {order} after {last}")
        self.position = item.position.text
        self._last[key] = order
        self.told.add((key, order))
        if event.is_put:
            self.copy[key] = version_of(event.record)
        else:
            self.copy.pop(key, None)

    def list(self, page: Page) -> None:
        self.copy = {key: version for key, version, _ in page.entries}
        self.must_list = False


class Watching:
    """`cuts`: whether the network is cut too."""

    def __init__(self, cluster: Cluster, duration_s: float, cuts: bool) -> None:
        self.cluster = cluster
        self.seen: Counter[str] = Counter()
        self._rng = cluster.rng
        self._duration_s = duration_s
        self._cuts = cuts
        self._stories = [Story(prefix) for prefix in PREFIXES[:WATCHERS]]
        self._acknowledged: list[tuple[bytes, Version, float]] = []
        """Key, version, and when it was asked for."""
        self._values: defaultdict[bytes, set[bytes]] = defaultdict(set)
        """All that anybody wanted to put."""
        self._told: dict[bytes, Version] = {}
        """The newest of each key that somebody was told."""
        self._written = 0
        self._followed_by: defaultdict[ViewId | None, set[ViewId]] = defaultdict(set)
        """The views that were made of each view."""
        cluster.view_watchers.append(lambda _, view: self._followed_by[view.base].add(view.id))
        self._stopping = self._is_over = False

    async def run(self) -> None:
        """Raises Violation."""
        with (
            patch.object(spreading, "REMEMBERED_MAX", REMEMBERED_MAX),
            patch.object(expired, "REMEMBERED_MAX", REMEMBERED_MAX),
            patch.object(co_owners, "SPREAD_MAX", SPREAD_MAX),
        ):
            await self._run()

    async def _run(self) -> None:
        for machine in self.cluster.machines.values():
            machine.start()
        async with asyncio.TaskGroup() as watchers:
            for story in self._stories:
                watchers.create_task(self._watch(story))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CLIENTS):
                    tasks.create_task(self._client())
                nemesis: Nemesis = (CutsToo if self._cuts else OneAtATime)(self.cluster, self.seen)
                await nemesis.run(until=self.cluster.loop.now + self._duration_s)
                self._stopping = True
            heal(self.cluster)
            await asyncio.sleep(HEAL_S + END_S)
            self._is_over = True
        await self._check()

    # Who writes and reads

    async def _client(self) -> None:
        machines = list(self.cluster.machines.values())
        while not self._stopping:
            await asyncio.sleep(self._rng.uniform(0, 2 * THINK_S))
            machine, key, what = self._rng.choice(machines), self._rng.choice(KEYS), self._rng.random()
            if what < READS:
                await self._read(machine, key)
            else:
                await self._write(machine, key, what < READS + DELETES, what > 1 - EXPIRING)

    async def _write(self, machine: Machine, key: bytes, deletes: bool, expires: bool) -> None:
        self._written += 1
        value = None if deletes else b"%d" % self._written
        if value is not None:
            self._values[key].add(value)
        ttl_ms = self._rng.randint(100, TTL_MS_MAX) if expires else None
        called = self.cluster.loop.now
        try:
            outcome = await machine.ask(lambda node: node.router.write(key, value, ttl_ms=ttl_ms))
        except REFUSALS:
            self.seen["writes without answer"] += 1
            return
        self.seen["writes"] += 1
        if isinstance(outcome.answer, Wrote):
            assert outcome.version is not None
            if self._is_up_to_date(outcome.served_by or machine.address):
                self._acknowledged.append((key, outcome.version, called))
        else:
            assert isinstance(outcome.answer, NothingDeleted)

    def _is_up_to_date(self, owner: Address) -> bool:
        """Whether it serves under the newest view. Across a cut it may not, and what it acknowledges then is brought
        home, and told only if it is newer than what is there."""
        nodes = [machine.node for machine in self.cluster.machines.values() if machine.node is not None]
        held = {node.config.address: node.views.view_id for node in nodes}
        return owner in held and held[owner] == max(held.values())

    async def _read(self, machine: Machine, key: bytes) -> None:
        floor = self._told.get(key, b"")
        try:
            outcome = await machine.ask(lambda node: read(node, key))
        except REFUSALS:
            self.seen["reads without answer"] += 1
            return
        assert isinstance(outcome.answer, ReadResult)
        self.seen["reads"] += 1
        version = outcome.answer.version
        if not self._cuts and version is not None and version < floor:
            raise Violation(
                f"{key!r} is {version.hex()} through {machine.address}, and somebody was told {floor.hex()}"
            )

    # Who watches

    async def _watch(self, story: Story) -> None:
        """Until all is over, through one node after the other."""
        machines = list(self.cluster.machines.values())
        while not self._is_over:
            machine = self._rng.choice(machines)
            if self._rng.random() > GOES_ON and not self._stopping:
                story.position = None
            host, since = machine.host, story.position
            try:
                watcher = await machine.ask(lambda node: node.hub.watch(story.prefix, since=since))  # noqa: B023
            except REFUSALS:
                self.seen["streams refused"] += 1
                await asyncio.sleep(LOOK_S)
                continue
            self.seen["streams"] += 1
            self._note(f"{story.prefix!r} watches through {name_of(machine.address)} from {watcher.position.text}")
            story.begin(self.cluster.loop.now, watcher.position.text)
            until = self.cluster.loop.now + self._rng.expovariate(1 / STAYS_S)
            while machine.host is host and (self.cluster.loop.now < until or self._stopping) and not self._is_over:
                if not await self._take(story, watcher):
                    break
            if machine.host is host and machine.node is not None:
                machine.node.hub.leave(watcher)

    async def _take(self, story: Story, watcher: Watcher) -> bool:
        """False: the stream has ended."""
        if story.must_list:
            await self._list(story)
        try:
            async with asyncio.timeout(LOOK_S):
                items = await watcher.take()
        except TimeoutError:
            return True
        for item in items:
            if isinstance(item, Gap):
                self.seen["gaps"] += 1
                self._note(f"{story.prefix!r} is told of a gap: {item.why}")
                story.open(self.cluster.loop.now, item.position.text)
            else:
                self._hear(story, item)
        return bool(items)

    async def _list(self, story: Story) -> None:
        machine = self._rng.choice(list(self.cluster.machines.values()))
        try:
            story.list(await machine.ask(lambda node: node.whole_store.lister.page(story.prefix, b"", 1000, False)))
        except REFUSALS:
            self.seen["listings without answer"] += 1

    def _hear(self, story: Story, item: Told) -> None:
        event = item.event
        self.seen["events"] += 1
        self._note(f"{story.prefix!r} is told of {event.key!r} {event.order} up to {item.position.text}")
        story.tell(item)
        self._check_written(event)
        self._told[event.key] = max(version_of(event.record), self._told.get(event.key, b""))

    def _note(self, text: str) -> None:
        if self.cluster.traced:
            self.cluster.note(text)

    def _check_written(self, event: Event) -> None:
        value = decode_record(event.record).value
        if value is not None and value not in self._values[event.key]:
            raise Violation(f"told of {event.key!r} with {value!r}, which nobody has put")

    # The end

    async def _check(self) -> None:
        machine = next(iter(self.cluster.machines.values()))
        for story in self._stories:
            page: Page = await machine.ask(lambda node: node.whole_store.lister.page(story.prefix, b"", 1000, False))  # noqa: B023
            held = {key: version for key, version, _ in page.entries}
            if story.must_list or story.copy != held:
                raise Violation(f"the copy of {story.prefix!r} is {_brief(story.copy)}, and there is {_brief(held)}")
            for key, version, called in () if self._had_rivals() else self._acknowledged:
                is_told = (key, (version, False)) in story.told or story.gap_at >= called
                if key.startswith(story.prefix) and not is_told:
                    raise Violation(
                        f"{key!r} {version.hex()}, asked for at {called}, was never told of {story.prefix!r}"
                    )

    def _had_rivals(self) -> bool:
        """Whether views were made that did not know of each other: the same, of the one that has lost."""
        return any(len(views) > 1 for views in self._followed_by.values())


def _brief(copy: dict[bytes, Version]) -> dict[str, str]:
    return {key.decode(): version.hex() for key, version in sorted(copy.items())}
