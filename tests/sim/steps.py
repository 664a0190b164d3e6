"""Where in a view change somebody can be struck, and what springs there."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from gossip.view import Address, View
from node.net.messages import Adopt, Answer, AskStatus, Compare, Promise, Promised, Push, Request
from tests.sim.cluster import Cluster, Machine


class Step(Enum):
    """See docs/architecture.md."""

    PROMISE = "as it asks for the first promise"
    PROMISES = "between promises"
    PROMISED = "with the last promise on its way"
    STORED = "with the view stored and told to nobody"
    PUSHED = "after the first push"
    ADOPTED = "as another node has adopted it"
    COMPARING = "as digests are compared"
    MOVING = "while keys move"
    DROPPED = "as a source has forgotten what it has brought"
    SETTLING = "while it waits for the end"


class Part(Enum):
    """Who takes part in it."""

    COORDINATOR = "coordinators"
    DONOR = "donors"
    TARGET = "owners"


class Snare:
    """Springs when the change that `coordinator` makes comes to `step`. Watches what it sends and stores."""

    def __init__(self, cluster: Cluster, coordinator: Machine, step: Step, spring: Callable[[], None]) -> None:
        self.parts = {Part.COORDINATOR: coordinator.address}
        """Who took part in what made it spring: besides the coordinator, as far as they can be told there."""
        self._cluster = cluster
        self._coordinator = coordinator
        self._step = step
        self._spring: Callable[[], None] | None = spring
        self._asked: set[Address] = set()
        self._awaited: set[Address] = set()
        """Those whose promises are on their way."""
        self._is_removed = False
        self._epoch: int | None = None
        """The epoch of the view it has stored."""
        cluster.network.watchers.append(self._sent)
        cluster.network.answer_watchers.append(self._answered)
        cluster.view_watchers.append(self._stored)
        cluster.drop_watchers.append(self._dropped)

    def remove(self) -> None:
        """It springs no more; doing it twice is doing it once."""
        if self._is_removed:
            return
        self._is_removed = True
        self._cluster.network.watchers.remove(self._sent)
        self._cluster.network.answer_watchers.remove(self._answered)
        self._cluster.view_watchers.remove(self._stored)
        self._cluster.drop_watchers.remove(self._dropped)

    def _sent(self, sender: Address, to: Address, request: Request) -> None:
        by_coordinator = sender == self._coordinator.address
        match request:
            case Promise() if by_coordinator:
                self._reach(Step.PROMISE if self._asked <= {to} else Step.PROMISES, target=to)
                self._asked.add(to)
                self._awaited.add(to)
            case Compare() if self._epoch is not None:
                self._reach(Step.COMPARING, sender, to)
            case Push() if self._epoch is not None:
                self._reach(Step.MOVING, sender, to)
            case Adopt() if by_coordinator and self._epoch is not None:
                self._reach(Step.PUSHED, target=to)
            case AskStatus() if by_coordinator and self._epoch is not None:
                self._reach(Step.SETTLING, target=to)

    def _answered(self, sender: Address, to: Address, _: Promise, answer: Answer) -> None:
        if to == self._coordinator.address:
            self._awaited.discard(sender)
            if isinstance(answer, Promised) and not self._awaited and len(self._asked) > 1:
                self._reach(Step.PROMISED, sender)

    def _stored(self, machine: Machine, view: View) -> None:
        if machine is self._coordinator and view.coordinator == machine.address:
            self._epoch = view.epoch
            self._reach(Step.STORED)
        elif view.epoch == self._epoch:
            self._reach(Step.ADOPTED, target=machine.address)

    def _dropped(self, machine: Machine) -> None:
        if self._epoch is not None:
            self._reach(Step.DROPPED, machine.address)

    def _reach(self, step: Step, donor: Address | None = None, target: Address | None = None) -> None:
        if step is self._step and self._spring is not None:
            spring, self._spring = self._spring, None
            self.parts |= {part: who for part, who in ((Part.DONOR, donor), (Part.TARGET, target)) if who is not None}
            spring()
