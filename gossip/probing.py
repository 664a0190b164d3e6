"""Whom to probe, and which probes are still unanswered: SWIM's failure detector.

Every known node gets its turn, in an order that is shuffled anew for each time round: chance alone would leave some
failure undetected for long, and one order for all would have everybody probe the same node at once. The dead keep their
turn, which is how they learn what they missed once they are back. An answer counts as missing only if this node could
have taken it in: after a pause of its own, it asks again.
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
    """A probe that this node runs on another one's behalf."""

    target: Address
    requester: Address


class Overdue(NamedTuple):
    again: list[Address]
    """Targets with attempts left: to be probed once more, now through others as well."""
    failed: list[Address]
    """Targets that have left all attempts unanswered."""


class Probing:
    def __init__(self, members: Membership, settings: Settings) -> None:
        self._members = members
        self._settings = settings
        self._order: list[Address] = []
        """Everybody but this node; may include forgotten nodes until it is shuffled anew."""
        self._turn = 0
        self._newcomers: list[Address] = []
        self._probes: dict[Address, _Probe] = {}
        self._indirect_probes: dict[IndirectProbe, float] = {}
        """Until when an answer to each is worth reporting."""

    # Whom to talk to

    def add(self, addresses: Iterable[Address]) -> None:
        """These nodes became known; they have their turn from the next round on."""
        self._newcomers.extend(addresses)

    def next_in_turn(self, own: Address, rng: Random) -> Address | None:
        """The node whose turn it is; None if no other is known."""
        self._seat_newcomers(rng)
        if len(self._order) > 2 * len(self._members):
            self._turn = len(self._order)  # Most are forgotten nodes: newcomers come and go faster than turns do.
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
        """Seats each at random among the nodes still to come, lest all nodes probe it at once."""
        for address in self._newcomers:
            self._order.append(address)
            # This takes a third of the time of `randrange`.
            seat = self._turn + int(rng.random() * (len(self._order) - self._turn))
            self._order[seat], self._order[-1] = self._order[-1], self._order[seat]
        self._newcomers.clear()

    def some(self, count: int, rng: Random) -> list[Address]:
        """Up to `count` random nodes: a stretch of the shuffled order, as drawing a sample would cost more than all the
        rest of a round."""
        start = rng.randrange(len(self._order)) if len(self._order) > count else 0
        stretch = self._order[start : start + count]
        return stretch + self._order[: count - len(stretch)] if start else stretch

    def some_well(self, count: int, rng: Random, exclude: Address | None) -> list[Address]:
        """Up to `count` random nodes that are neither suspected nor dead; fewer where few are well."""
        drawn = rng.sample(self._order, min(4 * count, len(self._order)))
        well = [
            address
            for address in drawn
            if address != exclude and address in self._members and self._members.is_well(address)
        ]
        return well[:count]

    # Probes of our own

    def begin(self, target: Address, now: float) -> None:
        """The target is sent a digest, and should answer. A no-op if it is suspected, dead, or already probed."""
        if self._members.is_well(target):
            self._probes.setdefault(target, _Probe(now + self._settings.probe_timeout_s))

    def awaits(self, target: Address) -> bool:
        return target in self._probes

    def end(self, target: Address) -> None:
        """The target has answered. A no-op if it is not being probed."""
        self._probes.pop(target, None)

    def collect_overdue(self, now: float) -> Overdue:
        """Starts the next attempt of each overdue probe, or ends it after its last one; returns which are which."""
        overdue = Overdue([], [])
        for target, probe in list(self._probes.items()):
            if target not in self._members or not self._members.is_well(target):
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

    def begin_indirect(self, probe: IndirectProbe, now: float) -> bool:
        """Returns whether to probe the target. Not if it is unknown, or too many indirect probes are pending."""
        self._indirect_probes = {pending: until for pending, until in self._indirect_probes.items() if until > now}
        if probe.target not in self._members or len(self._indirect_probes) >= self._settings.indirect_probes_max:
            return False
        self._indirect_probes[probe] = now + self._settings.probe_timeout_s
        return True

    def end_indirect(self, target: Address, now: float) -> list[Address]:
        """The target has answered. Returns the nodes that still wait to be told so; each is named once."""
        if not self._indirect_probes:
            return []
        ended = {probe: until for probe, until in self._indirect_probes.items() if probe.target == target}
        for probe in ended:
            del self._indirect_probes[probe]
        return [probe.requester for probe, until in ended.items() if until > now]

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        assert len(self._indirect_probes) <= self._settings.indirect_probes_max
        assert all(1 <= probe.attempts <= self._settings.probe_attempts for probe in self._probes.values())
