"""Do acknowledged views stay? What an operator was told is done can only be followed, never replaced.

Each view names the one that it was built on, so whether a view follows another is told by the chain of these. A change
made on one side of a cut may lose against one of the other side: of a view that was acknowledged at such a time nothing
is demanded. The same holds where nodes are down: that what they have promised each other is known to somebody who runs,
and of whom the coordinator can know, is all that the store can go by. And where a disk was lost, what was on it is not
known to its node.

Also: no node promises an epoch to two coordinators, whatever becomes of it and of the promises, as long as it keeps its
disk; while a promise holds, it gives no other one, and takes no lower view but those that the promise builds on; no
view is made that one of its nodes refused to promise; and when a change is answered, it has happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from gossip.view import Address, View, ViewId
from node.config import Config
from node.net.messages import Answer, Promise, Promised, Release, Request
from tests.sim.cluster import Cluster, Machine
from tests.sim.registers import Violation
from tests.sim.trace import name_of, names_of, view_name

CUT_S = 20.0
"""A coordinator tries for so long to bring its view in force: a cut may have shaped what it knew of at its start."""
VOID_S = 0.5
"""A promise may have been given so long before it was heard of."""
HEARD_S = 0.5
"""Whoever has been well for so long can be heard."""


class Asked(NamedTuple):
    """A view change that was answered as done."""

    coordinator: Address
    at: float
    nodes: frozenset[Address]
    factor: int | None


class _Rival(NamedTuple):
    """Who made, or prepares, a view of an epoch."""

    epoch: int
    coordinator: Address


class _Promise(NamedTuple):
    """One that holds."""

    rival: _Rival
    until: float
    base: ViewId | None


class AcknowledgedViews:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._views: dict[ViewId, View] = {}
        """Each that was ever stored by anybody."""
        self._stored_at: dict[ViewId, float] = {}
        """When it first was."""
        self._promises: defaultdict[_Rival, dict[Address, float]] = defaultdict(dict)
        """Who promised it, and when."""
        self._held: dict[Address, _Promise] = {}
        """Of whom it is known, which promise holds."""
        self._refused: defaultdict[_Rival, set[Address]] = defaultdict(set)
        """Who has refused it a promise, and has not given it since."""
        self._acknowledged: list[ViewId] = []
        cluster.view_watchers.append(self._stored)
        cluster.network.answer_watchers.append(self._answered)
        cluster.network.watchers.append(self._sent)

    def acknowledge(self, view: View, asked: Asked) -> None:
        """Somebody was told that this one is settled. Raises Violation if it cannot be, or is not what was asked
        for."""
        if view.nodes != asked.nodes or (asked.factor is not None and view.repl_factor != asked.factor):
            raise Violation(f"asked for {sorted(asked.nodes)}, {asked.factor} copies, and told of {view_name(view.id)}")
        if view.coordinator == asked.coordinator and self._stored_at[view.id] > asked.at:
            self._check_factor(view, asked)
            self._check_presence(view, asked)
        self._check_spread(view, asked)
        if not self._cluster.is_cut(CUT_S) and not self._has_unknown_rival(view, asked):
            self._acknowledged.append(view.id)

    def check(self, view: View) -> None:
        """`view` is the one in force everywhere. Raises Violation if one that was acknowledged is not among those that
        it follows."""
        followed = set(self._chain(view.id))
        for acknowledged in self._acknowledged:
            if acknowledged not in followed:
                raise Violation(
                    f"view {view_name(acknowledged)} was acknowledged, and {view_name(view.id)} is in force, "
                    f"which was built without it"
                )

    # When a change is answered

    def _check_factor(self, view: View, asked: Asked) -> None:
        base = None if view.base is None else self._views.get(view.base)
        if asked.factor is None and base is not None and view.repl_factor != base.repl_factor:
            raise Violation(f"{view_name(view.id)} has {view.repl_factor} copies, and was to keep {base.repl_factor}")

    def _check_presence(self, view: View, asked: Asked) -> None:
        for machine in map(self._cluster.machines.__getitem__, sorted(view.nodes)):
            if not machine.runs and machine.troubled_at < asked.at:
                raise Violation(f"{view_name(view.id)} was made with {name_of(machine.address)}, which is not there")

    def _check_spread(self, view: View, asked: Asked) -> None:
        base = None if view.base is None else self._views.get(view.base)
        nodes = view.nodes if base is None else view.nodes | base.nodes
        for machine in self._who_could_be_asked(asked):
            assert machine.node is not None
            if machine.address in nodes and machine.node.views.view_id < view.id:
                raise Violation(f"{name_of(machine.address)} does not hold {view_name(view.id)}, which is settled")

    def _has_unknown_rival(self, view: View, asked: Asked) -> bool:
        """Whether somebody has made, or may be about to make, a view that may win, and nobody who promised that could
        be asked: be it that the coordinator could not have known of them."""
        could_be_asked = {machine.address for machine in self._who_could_be_asked(asked)} & self._known_to(view, asked)
        made = {_Rival(other.epoch, other.coordinator) for other in self._views.values()}
        for rival, promised in self._promises.items():
            is_alive = max(promised.values(), default=0.0) > asked.at - self._config_of(rival).promise_s
            if rival.epoch < view.epoch or rival.coordinator == view.coordinator or not (rival in made or is_alive):
                continue
            knowing = {who for who, at in promised.items() if self._cluster.machines[who].lost_at < at}
            if not {rival.coordinator, *knowing} & could_be_asked:
                return True
        return False

    def _known_to(self, view: View, asked: Asked) -> frozenset[Address]:
        """Whom its coordinator may know of when it makes it, though it has just started and heard of nobody yet."""
        maker = view.coordinator or asked.coordinator
        base = None if view.base is None else self._views.get(view.base)
        of_base = frozenset[Address]() if base is None else base.nodes | base.donor_nodes | {base.coordinator}
        return view.nodes | of_base | {*self._cluster.machines[maker].config.view}

    def _who_could_be_asked(self, asked: Asked) -> Iterator[Machine]:
        """Who was well all the time, and could be reached."""
        since_s = HEARD_S + self._cluster.loop.now - asked.at
        for machine in self._cluster.machines.values():
            is_reached = self._cluster.is_joined(asked.coordinator, machine.address, since_s)
            if is_reached and machine.is_well(since_s) and not machine.was_ill(since_s):
                yield machine

    # What happens

    def _stored(self, machine: Machine, view: View) -> None:
        if machine is not self._cluster.machines.get(machine.address):
            return  # Of another store.
        self._views[view.id] = view
        if view.id not in self._stored_at:
            self._stored_at[view.id] = self._cluster.loop.now
            self._excuse_lost_disk(machine, view)
        refused = self._refused[_Rival(view.epoch, view.coordinator)] & view.nodes
        if machine.address == view.coordinator and refused:
            raise Violation(f"{view_name(view.id)} is made, which {names_of(sorted(refused))} did not promise")
        held = self._holds(machine.address)
        if held is not None and view.epoch < held.epoch:
            base = self._held[machine.address].base
            if base is None or view.id.supersedes(base):
                raise Violation(
                    f"{name_of(machine.address)} stores {view_name(view.id)}, and has promised {held.epoch}"
                )
        else:
            self._held.pop(machine.address, None)

    def _excuse_lost_disk(self, maker: Machine, view: View) -> None:
        """A member of the first view whose disk was lost, and that hears nobody, is asked for another view: it cannot
        know what was acknowledged before, and takes the word of who asks. Nothing is demanded of that any more."""
        could_be_asked = set(self._who_could_be_asked(Asked(maker.address, self._cluster.loop.now, view.nodes, None)))
        held = [other.disk.view() for other in could_be_asked - {maker}]
        known = max((other.epoch for other in held if other is not None), default=0)
        self._acknowledged = [
            id_
            for id_ in self._acknowledged
            if id_.epoch < view.epoch or id_.epoch <= known or maker.lost_at < self._stored_at[id_]
        ]

    def _sent(self, _: Address, to: Address, request: Request) -> None:
        """A promise may hold no longer from when it is given back on, whether that arrives or not."""
        if isinstance(request, Release) and to in self._held:
            rival = _Rival(request.epoch, request.coordinator)
            self._held = {node: held for node, held in self._held.items() if node != to or held.rival != rival}

    def _answered(self, node: Address, _: Address, promise: Promise, answer: Answer) -> None:
        if node not in self._cluster.machines or self._cluster.machines[node].host is None:
            return  # Another store's node has its address.
        asked = _Rival(promise.epoch, promise.coordinator)
        if not isinstance(answer, Promised):
            self._refused[asked].add(node)
            return
        self._refused[asked].discard(node)
        held = self._holds(node)
        if held is not None and held.coordinator != asked.coordinator:
            raise Violation(f"{name_of(node)} promises {asked}, while what it has promised {held} holds")
        now, lost_at = self._cluster.loop.now, self._cluster.machines[node].lost_at
        for rival, promised in self._promises.items():
            before = promised.get(node, lost_at)
            if rival.epoch == promise.epoch and rival.coordinator != promise.coordinator and before > lost_at:
                raise Violation(
                    f"{name_of(node)} promises {promise.epoch} to {name_of(promise.coordinator)}, and has promised it "
                    f"to {name_of(rival.coordinator)} before"
                )
        self._promises[asked][node] = now
        self._held[node] = _Promise(asked, now - VOID_S + self._config_of(asked).promise_s, promise.base)

    def _holds(self, node: Address) -> _Rival | None:
        """Whom it has promised an epoch, if that is sure to hold. A view that was adopted ends it, though the node may
        have died before anybody was told."""
        held, lost_at = self._held.get(node), self._cluster.machines[node].lost_at
        now = self._cluster.loop.now
        if held is None or not now < held.until or lost_at > held.until - self._config_of(held.rival).promise_s:
            return None
        view = self._cluster.machines[node].disk.view()
        return None if view is not None and view.epoch >= held.rival.epoch else held.rival

    def _config_of(self, rival: _Rival) -> Config:
        return self._cluster.machines[rival.coordinator].config

    def _chain(self, view_id: ViewId | None) -> Iterator[ViewId]:
        while view_id is not None:
            yield view_id
            view_id = None if (view := self._views.get(view_id)) is None else view.base
