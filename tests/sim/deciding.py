"""Clients that change the same few keys by conditional writes at once, while nodes are killed, paused, cut off and
moved, and while both sides of a cut change the view, each without the other: of those who write on the same condition
one at most succeeds, and what they are told makes sense in one order, see `decisions`.

Views are changed only where that gives nothing up, as far as the store can tell: what is given up is decided once more.
It cannot tell of what came to a node after it was last heard, nor of what a removed node had yet to hand over when the
next change was made without it. So what was acknowledged, and is on no disk but those of the absent when a view is
made, is given up, and nothing is demanded of its key any more.
"""

from __future__ import annotations

import asyncio
import copy
from collections import Counter, defaultdict
from collections.abc import Collection, Coroutine
from typing import Any

from gossip.view import Address, View, ViewId
from node.errors import RequestFault, StorageFault, Unavailable
from node.net.messages import NothingDeleted, Read, ReadResult, Unmet, Write, WriteIf, Wrote
from node.node import Node
from node.operations.route_state import Answered
from node.operations.router import Outcome
from node.values.condition import NO_CONDITION, Condition, Versions
from node.values.version import Version
from node.views.change_conditions import Wish
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.cluster import CLIENT_S, Cluster, Machine, NoAnswer
from tests.sim.decisions import Decision, check_history
from tests.sim.nemesis import CHANGE_S, Nemesis
from tests.sim.peace import read
from tests.sim.trace import brief, name_of, names_of

CLIENTS, KEYS = 8, 3
THINK_S = 0.03
LOOKS_SHARE, CREATES_SHARE, DELETES_SHARE = 0.2, 0.2, 0.15
"""How many of the operations are plain reads, and of the others, how many demand that there be nothing, and how many
delete."""
PEACE_S = 60.0
"""Once all is well, a condition can be decided again within this time: that of a long pause, and of a view change."""
CREATES = Condition(none_of=Versions(True))


class Harm(Nemesis):
    """Kills, pauses, cuts, slow disks and changes of view; and cuts of which both sides change the view."""

    def __init__(self, cluster: Cluster, seen: Counter[str]) -> None:
        super().__init__(cluster, seen, AcknowledgedViews(cluster))
        self._faults = [
            *(self._crash, self._freeze, self._cut, self._isolate, self._slow_disk),
            *(self._change_view, self._strike_coordinator, self._part),
        ]

    async def _part(self) -> None:
        """Some cannot talk to the others, and on both sides somebody takes the others out."""
        addresses = sorted(self._cluster.machines)
        side = set(self._rng.sample(addresses, self._rng.randint(1, len(addresses) // 2)))
        rest = set(addresses) - side
        self._seen["partings"] += 1
        for one in side:
            for other in rest:
                self._cluster.cut(one, other)
        async with asyncio.TaskGroup() as tasks:
            for nodes in (side, rest):
                if self._rng.random() < 0.8:
                    tasks.create_task(self._change_among(nodes))
            await asyncio.sleep(self._rng.uniform(0.5, CHANGE_S))
        for one in side:
            for other in rest:
                self._cluster.mend(one, other)

    async def _change_among(self, nodes: Collection[Address]) -> None:
        await asyncio.sleep(self._rng.uniform(0.0, 1.0))
        machine = self._cluster.machines[self._rng.choice(sorted(nodes))]
        members = set(machine.node.views.current.nodes if machine.node else nodes) & set(nodes)
        if members:
            self._seen["rival views"] += await self._change_to(machine, sorted(members))

    async def _change_to(self, machine: Machine, nodes: Collection[Address], factor: int | None = None) -> bool:
        wanted = names_of(sorted(nodes)) + (f" with {factor} copies" if factor else "")
        self._cluster.note(f"view change to {wanted} asked of {name_of(machine.address)}")
        wish = Wish(frozenset(nodes), factor, if_safe=True)
        try:
            settled = await machine.ask(lambda node: settle(node, wish), CHANGE_S)
        except (RequestFault, NoAnswer, StorageFault) as fault:
            self._seen["view changes refused"] += 1
            self._cluster.note(f"view change asked of {name_of(machine.address)}: {fault!r}")
            return False
        self._seen["view changes"] += 1
        self._cluster.note(f"view change asked of {name_of(machine.address)}: {settled} is settled")
        return True


async def settle(node: Node, wish: Wish) -> Any:
    settled = await node.coordinator.await_settled(await node.coordinator.change(wish))
    return settled.view.id


class Deciding:
    def __init__(self, cluster: Cluster, duration_s: float, harm: type[Harm] = Harm) -> None:
        self.seen: Counter[str] = Counter()
        self.histories: defaultdict[bytes, list[Decision]] = defaultdict(list)
        self.cluster = cluster
        self._rng = cluster.rng
        self._duration_s = duration_s
        self._harm = harm
        self._written = 0
        self._known: dict[bytes, Version | None] = {}
        """What somebody was told last of a key."""
        self._patience_s = max(CLIENT_S, cluster.config.patience_s)
        self._stopping = False
        self._left: defaultdict[bytes, list[tuple[Version, Version]]] = defaultdict(list)
        """Of each key, what those who were absent when a view was made had beyond what all others had: above the first
        version, up to the second."""
        self._made: set[ViewId] = set()
        cluster.view_watchers.append(self._note_absent)

    async def run(self) -> None:
        """Raises Violation."""
        for machine in self.cluster.machines.values():
            machine.start()
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(f"c{number}"))
            await self._harm(self.cluster, self.seen).run(until=self.cluster.loop.now + self._duration_s)
            self._stopping = True
        await self._make_peace()
        self.check()

    def check(self) -> None:
        """Raises Violation."""
        for key, history in sorted(self.histories.items()):
            made = [decision.made for decision in history if decision.made is not None]
            if any(low < version <= high for version in made for low, high in self._left[key]):
                self.seen["given up"] += 1
            else:
                check_history(history)

    def _note_absent(self, _: Machine, view: View) -> None:
        if view.id in self._made or not view.absent:
            return
        self._made.add(view.id)
        for key in [b"k%d" % number for number in range(KEYS)]:
            held = {node: machine.disk.record(key) for node, machine in self.cluster.machines.items()}
            absent = [record.version for node, record in held.items() if record and node in view.absent]
            present = [record.version for node, record in held.items() if record and node not in view.absent]
            self._left[key].append((max(present, default=b""), max(absent, default=b"")))

    async def _make_peace(self) -> None:
        """All come back; an operator, who sees that all are there and have settled, vouches for the rest. Then each key
        can be decided again."""
        for machine in self.cluster.machines.values():
            if machine.host is None:
                machine.start()
            machine.thaw()
        self.cluster.heal()
        until = self.cluster.loop.now + PEACE_S
        machine = next(iter(self.cluster.machines.values()))
        nodes = frozenset(self.cluster.machines)
        while True:
            try:
                await machine.ask(lambda node: settle(node, Wish(nodes)), CHANGE_S)
                await machine.ask(lambda node: settle(node, Wish(nodes, gone_for_good=True)), CHANGE_S)
                break
            except (RequestFault, NoAnswer, StorageFault) as fault:
                self._note(f"peace: {fault!r}")
                assert self.cluster.loop.now < until, f"the view cannot be changed in peace: {fault!r}"
                await asyncio.sleep(0.5)
        for key in [b"k%d" % number for number in range(KEYS)]:
            decided = False
            while not decided:
                assert self.cluster.loop.now < until, f"no condition on {key!r} is decided in peace"
                machine = self._rng.choice(list(self.cluster.machines.values()))
                await self._look("peace", machine, key)
                decided = await self._write("peace", machine, key, self._replaces(self._known.get(key)), False)

    async def _client(self, name: str) -> None:
        machines = list(self.cluster.machines.values())
        while not self._stopping:
            await asyncio.sleep(self._rng.uniform(0, 2 * THINK_S))
            key = b"k%d" % self._rng.randrange(KEYS)
            machine, known = self._rng.choice(machines), self._known.get(key)
            if self._rng.random() < LOOKS_SHARE:
                await self._look(name, machine, key)
            elif self._rng.random() < CREATES_SHARE:
                await self._write(name, machine, key, CREATES, False)
            else:
                deletes = known is not None and self._rng.random() < DELETES_SHARE
                await self._write(name, machine, key, self._replaces(known), deletes)

    def _replaces(self, known: Version | None) -> Condition:
        return CREATES if known is None else Condition(one_of=Versions(False, (known,)))

    async def _look(self, client: str, machine: Machine, key: bytes) -> None:
        """What it is told is no more than where to begin."""
        try:
            outcome = await machine.ask(lambda node: read(node, key), self._patience_s)
        except (Unavailable, NoAnswer, StorageFault):
            return
        assert isinstance(outcome.answer, ReadResult)
        self._known[key] = outcome.answer.version
        self._note(f"{client} finds {key.decode()} {_brief(outcome.answer.version)} through {name_of(machine.address)}")

    async def _write(self, client: str, machine: Machine, key: bytes, condition: Condition, deletes: bool) -> bool:
        """Whether it was made."""
        self._written += 1
        value = None if deletes else b"%d" % self._written
        what = f"{client} {key.decode()} = {value!r} if {_told(condition)} through {name_of(machine.address)}"
        decision = Decision(condition, deletes, self.cluster.loop.now)
        self.histories[key].append(decision)
        self._note(what)
        try:
            outcome = await machine.ask(lambda node: self._ask(node, key, value, decision), self._patience_s)
        except (Unavailable, NoAnswer, StorageFault) as fault:
            self.seen["without answer"] += 1
            self._note(f"{what}: {fault!r} {getattr(fault, 'details', '')}")
            if isinstance(fault, Unavailable) and fault.has_not_happened:
                self.seen["not happened"] += 1  # So that nobody may see it.
                self.histories[key] = [other for other in self.histories[key] if other is not decision]
            return False
        self._note(f"{what}: {brief(outcome.answer)} {_brief(outcome.version)}")
        decision.answered = self.cluster.loop.now
        match outcome.answer:
            case Wrote():
                self.seen["made"] += 1
                decision.made = outcome.version
                self._known[key] = None if deletes else outcome.version
                return True
            case Unmet(version=seen):
                self.seen["refused"] += 1
                decision.refused, decision.seen = True, seen
                self._known[key] = seen
            case NothingDeleted():
                decision.refused = True
                self._known[key] = None
            case other:
                raise AssertionError(other)
        return False

    async def _ask(self, node: Node, key: bytes, value: bytes | None, decision: Decision) -> Outcome:
        """Takes down every version under which it is tried."""
        router = copy.copy(node.router)
        route = router._route

        def noted(key: bytes, operation: Read | Write | WriteIf, deadline: float) -> Coroutine[Any, Any, Answered]:
            assert isinstance(operation, WriteIf)
            decision.tried.append(operation.version)
            return route(key, operation, deadline)

        router._route = noted  # type: ignore[method-assign]
        assert decision.condition != NO_CONDITION
        return await router.write(key, value, None, decision.condition)

    def _note(self, text: str) -> None:
        if self.cluster.traced:
            self.cluster.note(text)


def _brief(version: Version | None) -> str:
    return "nothing" if version is None else version.hex()[6:]


def _told(condition: Condition) -> str:
    return "nothing is there" if condition.one_of is None else "/".join(map(_brief, condition.one_of.these))
