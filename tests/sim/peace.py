"""What holds once all faults have ended: within the limits of docs/operations.md, with nobody asking for anything,
one view, identical copies, every key the same through every node and as it should be, exact counts; and view changes
that nothing disturbs."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from gossip.view import Address, View
from node.errors import Conflict, RequestFault, Unavailable
from node.net.messages import ReadResult
from node.node import Node
from node.operations.router import Outcome
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.changing import change
from tests.sim.cluster import CLIENT_S, Cluster, Machine, NoAnswer
from tests.sim.onlooker import Onlooker
from tests.sim.registers import Register, Violation

CHANGE_S = 4.0
"""A limit of docs/operations.md: a view change of so few keys, all nodes up, is over within this."""
VOID_S = 30.0
"""Within this, promises that coordinators were given are void, and so are those that others have waited for."""
RIVALS_SHARE, RIVALS_S = 0.3, 20.0
"""How often two changes are asked for at once, and how long they may take together."""
HEAL_S = 4.0
"""Another one: within this after a heal, plus the time to move what differs, everything is as it should be."""


class Peace:
    def __init__(
        self,
        cluster: Cluster,
        registers: dict[bytes, Register],
        onlooker: Onlooker,
        views: AcknowledgedViews,
        seen: Counter[str],
    ) -> None:
        self._cluster = cluster
        self._views = views
        self._registers = registers
        self._onlooker = onlooker
        self._seen = seen
        self._healed_at = 0.0

    async def make(self) -> None:
        """End all faults, and see that all is well. Clients must be silent. Raises Violation."""
        heal(self._cluster)
        self._seen["heals"] += 1
        self._healed_at = self._cluster.loop.now
        await self._settle()
        await asyncio.sleep(CLIENT_S)  # What a paused node was still working on may happen yet.
        live = await self._check_keys()
        await self._settle()  # A change that waited for a promise to become void may have begun meanwhile.
        self._check_counts(live)
        self._views.check(self._nodes()[0].views.current)

    async def last(self, duration_s: float) -> None:
        """Nothing happens for so long, and all is as it was, but for deletions that were forgotten. Raises
        Violation."""
        deleted = [key for key in self._registers if self._onlooker.newest(key) is not None]
        await asyncio.sleep(duration_s)
        self._healed_at = self._cluster.loop.now
        self._check_counts(await self._check_keys())
        self._seen["deletions forgotten"] += sum(self._onlooker.newest(key) is None for key in deleted)

    async def change_views(self) -> None:
        """One that nothing disturbs ends in time, with exact counts, be the disks full of those that it removes. Of
        two that are asked for at once, one is done, and is not interrupted. Raises Violation."""
        await self._await_end_of_changes()
        if self._cluster.rng.random() < RIVALS_SHARE:
            await self._change_by_rivals()
        await self._change_view()

    async def _await_end_of_changes(self) -> None:
        """Until no promise to a coordinator that was killed holds any more, nor anybody tries again and again who waits
        for that to be void: another change would be refused."""
        began = self._cluster.loop.now
        before = None
        while before != (now := [(node.views.view_id, node.views.promisee()) for node in self._nodes()]) or any(
            promisee.is_held for _, promisee in now
        ):
            if self._cluster.loop.now - began > VOID_S:
                raise Violation(f"a promise is not void after {VOID_S} s")
            before = now
            await asyncio.sleep(0.5)

    async def _change_view(self) -> None:
        nodes, machine = self._some_nodes(), self._some_machine()
        removed = [other for address, other in self._cluster.machines.items() if address not in nodes]
        for full in removed if self._cluster.rng.random() < 0.5 else ():
            self._seen["full disks removed in peace"] += 1
            full.disk.full = True
        try:
            settled = await machine.ask(lambda node: change(node, nodes), CHANGE_S)
        except (RequestFault, NoAnswer) as fault:
            raise Violation(f"a view change in peace failed: {fault!r}") from fault
        if settled.view.nodes != set(nodes):
            raise Violation(f"a view change to {nodes} led to {settled.view.nodes}")
        counted = sum(settled.key_counts[shard[0]] for shard in settled.view.shards)
        live = sum(register.acknowledged is not None for register in self._registers.values())
        if counted != live:
            raise Violation(f"a view change to {nodes} led to {counted} of {live} keys")

    async def _change_by_rivals(self) -> None:
        self._seen["rivals in peace"] += 1
        self._cluster.view_watchers.append(self._check_that_nothing_moves)
        wishes = [self._some_machine().ask(partial(change, nodes=self._some_nodes()), RIVALS_S) for _ in range(2)]
        outcomes = await asyncio.gather(*wishes, return_exceptions=True)
        self._cluster.view_watchers.remove(self._check_that_nothing_moves)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Conflict):
                raise Violation(f"a view change beside another one failed: {outcome!r}")
        if all(isinstance(outcome, BaseException) for outcome in outcomes):
            raise Violation(f"two view changes at once, and none was made: {outcomes!r}")

    def _check_that_nothing_moves(self, machine: Machine, view: View) -> None:
        """A coordinator has stored its view: nobody has anything left to hand over or to hear of from the one before.
        That co-owners still compare what they hold interrupts nothing."""
        if view.coordinator == machine.address:
            for node in self._nodes():
                is_busy = not node.handoff.is_settled() and (node.handoff.handing() or node.handoff.waiting())
                if node.views.view_id == view.base and is_busy:
                    raise Violation(f"view {view.id} interrupts {view.base}, which {node.config.address} has to settle")

    def _some_machine(self) -> Machine:
        return self._cluster.machines[self._cluster.rng.choice(sorted(self._cluster.machines))]

    def _some_nodes(self) -> list[Address]:
        machines = sorted(self._cluster.machines)
        return self._cluster.rng.sample(machines, self._cluster.rng.randint(1, len(machines)))

    async def _settle(self) -> None:
        """Whoever has promised an epoch takes no view below it before the promise is void: until then, nothing is
        demanded of it."""
        began = healed_at = self._cluster.loop.now
        while not (self._is_settled() and self._copies_are_alike()):
            is_bound = any(node.views.promisee().is_held for node in self._nodes())
            if is_bound and self._cluster.loop.now - healed_at <= VOID_S:
                began = self._cluster.loop.now
            if self._cluster.loop.now - began > HEAL_S:
                raise Violation(f"not settled within {HEAL_S} s: {self._state()}")
            await asyncio.sleep(0.05)

    def _nodes(self) -> list[Node]:
        return [machine.node for machine in self._cluster.machines.values() if machine.node is not None]

    def _is_settled(self) -> bool:
        nodes = self._nodes()
        one_view = len({node.views.view_id for node in nodes}) == 1
        return (
            len(nodes) == len(self._cluster.machines) and one_view and all(node.handoff.is_settled() for node in nodes)
        )

    def _copies_are_alike(self) -> bool:
        nodes = {node.config.address: node for node in self._nodes()}
        shards = self._nodes()[0].views.current.shards
        return all(len({nodes[address].own_keys.digest for address in shard}) == 1 for shard in shards)

    def _state(self) -> str:
        return "; ".join(
            f"{node.config.address}: {node.views.view_id}, digest {node.own_keys.digest:x}, "
            f"handing {node.handoff.handing()}, waiting {node.handoff.waiting()}"
            for node in self._nodes()
        )

    async def _check_keys(self) -> int:
        """Returns how many exist."""
        live = 0
        for key, register in self._registers.items():
            values = {await self._read(machine, key) for machine in self._cluster.machines.values()}
            if len(values) > 1:
                raise Violation(f"{key!r} reads differently: {values!r}")
            if not values <= register.possible:
                raise Violation(f"{key!r} is {values!r} in the end; possible: {register.possible!r}")
            (value,) = values
            newest = self._onlooker.newest(key)
            if newest is not None and register.version is not None and newest.version < register.version:
                raise Violation(f"{key!r} is {value!r} in the end, older than {register.acknowledged!r}")
            register.settle(value, None if newest is None else newest.version, self._cluster.loop.now)
            live += value is not None
        return live

    async def _read(self, machine: Machine, key: bytes) -> bytes | None:
        while True:
            try:
                outcome = await machine.ask(lambda node: read(node, key))
            except (Unavailable, NoAnswer) as fault:
                if self._cluster.loop.now - self._healed_at > HEAL_S:
                    raise Violation(f"{key!r} cannot be read through {machine.address}: {fault}") from fault
                await asyncio.sleep(0.05)
            else:
                assert isinstance(outcome.answer, ReadResult)
                return outcome.answer.value

    def _check_counts(self, live: int) -> None:
        nodes = {node.config.address: node for node in self._nodes()}
        counted = sum(nodes[shard[0]].own_keys.count for shard in self._nodes()[0].views.current.shards)
        if counted != live:
            raise Violation(f"{counted} keys are counted, {live} can be read")
        for node in self._nodes():
            node.check()


def heal(cluster: Cluster) -> None:
    """All faults end, and who is down starts."""
    cluster.heal()
    for machine in cluster.machines.values():
        machine.disk.mend()
        machine.thaw()
        if machine.host is None:
            machine.start()


async def read(node: Node, key: bytes) -> Outcome:
    at_once = node.router.read_here(key)
    return await node.router.read(key) if at_once is None else Outcome(at_once, None)
