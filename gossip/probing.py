"""Whom to ask whether it is alive, and what is still unanswered (the failure detector of SWIM).

Every known node gets its turn, in an order shuffled anew each time round: chance alone would leave some
failure unseen for long, and one order for all would have everybody ask the same node at once. The dead keep
their turn, which is how they learn of what they missed once they are back. Only an answer that could come,
but did not, counts against a node: one that was paused itself asks again. Must never import `ring` or
`node`, nor do any I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from gossip.membership import Membership
from gossip.settings import Settings
from gossip.view import Address


@dataclass(slots=True)
class _Probe:
    deadline: float
    attempts: int = 1


class IndirectProbe(NamedTuple):
    """A probe on another node's behalf."""

    target: Address
    requester: Address


class Overdue(NamedTuple):
    again: list[Address]
    """To be probed once more, with the help of others."""
    failed: list[Address]
    """Those that have used up their attempts."""


class Probing:
    def __init__(self, members: Membership, settings: Settings) -> None:
        self._members = members
        self._settings = settings
        self._order: list[Address] = []
        """Everybody but this node; may still hold forgotten ones, until it is made anew."""
        self._turn = 0
        self._newcomers: list[Address] = []
        self._probes: dict[Address, _Probe] = {}
        self._errands: dict[IndirectProbe, float] = {}

    # Whom to talk to

    def add(self, addresses: Iterable[Address]) -> None:
        """These became known; they get their turn from the next round on."""
        self._newcomers.extend(addresses)

    def next_in_turn(self, own: Address, rng: Random) -> Address | None:
        """The node whose turn it is; None if no other is known."""
        self._seat_newcomers(rng)
        if len(self._order) > 2 * len(self._members):
            self._turn = len(self._order)  # Mostly forgotten ones: newcomers come and go faster than turns.
        for _ in range(2):
            while self._turn < len(self._order):
                address = self._order[self._turn]
                self._turn += 1
                if address in self._members:
                    return address
            self._order = [address for address in self._members if address != own]
            rng.shuffle(self._order)
            self._turn = 0
        return None

    def _seat_newcomers(self, rng: Random) -> None:
        """Each at a random place among those still to come, lest all nodes ask it at once."""
        for address in self._newcomers:
            self._order.append(address)
            seat = self._turn + int(rng.random() * (len(self._order) - self._turn))  # A third of a randrange's time.
            self._order[seat], self._order[-1] = self._order[-1], self._order[seat]
        self._newcomers.clear()

    def some(self, count: int, rng: Random) -> list[Address]:
        """Nodes at random: a stretch of the shuffled order, as a sample would cost more than all the rest."""
        start = rng.randrange(len(self._order)) if len(self._order) > count else 0
        stretch = self._order[start : start + count]
        return stretch + self._order[: count - len(stretch)] if start else stretch

    def some_well(self, count: int, rng: Random, exclude: Address | None) -> list[Address]:
        """Up to `count` random nodes against which nothing is held; fewer where most are ill."""
        drawn = rng.sample(self._order, min(4 * count, len(self._order)))
        well = [
            address
            for address in drawn
            if address != exclude and address in self._members and self._members.well(address)
        ]
        return well[:count]

    # Probes of our own

    def begin(self, target: Address, now: float) -> None:
        """The target is sent a digest and should answer. No-op if it is ill already, or already asked."""
        if self._members.well(target):
            self._probes.setdefault(target, _Probe(now + self._settings.probe_timeout_s))

    def awaits(self, target: Address) -> bool:
        return target in self._probes

    def answered(self, target: Address) -> None:
        self._probes.pop(target, None)

    def overdue(self, now: float) -> Overdue:
        overdue = Overdue([], [])
        for target, probe in list(self._probes.items()):
            if target not in self._members or not self._members.well(target):
                del self._probes[target]
            elif now >= probe.deadline and probe.attempts >= self._settings.probe_attempts:
                del self._probes[target]
                overdue.failed.append(target)
            elif now >= probe.deadline:
                probe.attempts += 1
                probe.deadline = now + self._settings.probe_timeout_s
                overdue.again.append(target)
        return overdue

    def start_afresh(self, now: float) -> None:
        """This node was paused: every unanswered probe gets its full time once more."""
        for probe in self._probes.values():
            probe.attempts, probe.deadline = 1, now + self._settings.probe_timeout_s

    # Probes on others' behalf

    def run_indirect_probe(self, errand: IndirectProbe, now: float) -> bool:
        """Whether to probe the target: it has to be known, and not too many errands pending."""
        self._errands = {pending: until for pending, until in self._errands.items() if until > now}
        if errand.target not in self._members or len(self._errands) >= self._settings.indirect_probes_max:
            return False
        self._errands[errand] = now + self._settings.probe_timeout_s
        return True

    def requesters(self, target: Address, now: float) -> list[Address]:
        """Who has to be told that the target answered; each is named once."""
        if not self._errands:
            return []
        done = {errand: until for errand, until in self._errands.items() if errand.target == target}
        for errand in done:
            del self._errands[errand]
        return [errand.requester for errand, until in done.items() if until > now]

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        assert len(self._errands) <= self._settings.indirect_probes_max
        assert all(1 <= probe.attempts <= self._settings.probe_attempts for probe in self._probes.values())
