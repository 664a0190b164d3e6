"""Would this node serve now? What is checked, what each fault means, and which of them take a node out of service.

Whoever spreads requests over nodes goes by this, so two mistakes have to be avoided. A node that answers slowly, or
refuses part of what it is asked, must not get what another one could have answered: so a full disk counts, although
reads go on. But what is no fault of this node's must not count: if each node that cannot reach a dead one took itself
out of service, one death would end the whole store. So what is only worth knowing is *noted*. That keys move is noted
too, since nearly all nodes have a part in it, and each of them serves what has not arrived by asking who has it.

A node that reached nobody is back when it has found the others again, and not as soon as it reaches the first of them:
all owners of some keys may be among the rest.

Pure. `api.health` gathers the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import inf
from typing import NamedTuple

ISOLATED_FROM = 2
"""A node that reaches none of so many others is more likely to be cut off than the only one left."""
RETURNS_S = 2.0
"""A node that was cut off has looked for each of the others by so long after it was seen to reach the first of them: an
owner that it does not reach by then is none that it would find the next moment."""
NAMED_MAX = 5
"""So many nodes are named in one reason."""


class Facts(NamedTuple):
    """What the parts of a node know."""

    loop_late_s: float
    """The longest that the loop was late lately."""
    loop_late_s_max: float
    has_asked_around: bool
    lacks_view: bool
    """It knows of a later view, and has not been able to store it."""
    clock_is_refused: bool
    disk_hangs: bool
    disk_fails: bool
    disk_has_no_room: bool
    is_to_be_filled: bool
    """Its disk was emptied, or is older than it was: a co-owner has to bring what is missing."""
    is_owed: bool
    """A co-owner that can be reached has writes for it that it has missed."""
    keys_arrive: bool
    """A view change brings keys here."""
    peers: Sequence[str]
    """The other nodes of its view."""
    unreachable: Sequence[str]
    """Those of them that cannot be reached."""
    is_returning: bool
    """It reached none of them a moment ago, see `Isolation`."""


class Isolation:
    """Whether this node has been cut off from all others, and has yet to find them again, as seen at each look."""

    def __init__(self) -> None:
        self._ends_at: float | None = None
        """When it is over, whomever it reaches then; None: it is not cut off."""

    def look(self, peers: Sequence[str], unreachable: Sequence[str], now: float) -> bool:
        """Whether it is finding them again now (monotonic, in seconds)."""
        if _is_isolated(peers, unreachable):
            self._ends_at = inf
        elif not unreachable or (self._ends_at is not None and now >= self._ends_at):
            self._ends_at = None
        elif self._ends_at == inf:
            self._ends_at = now + RETURNS_S
        return self._ends_at is not None and self._ends_at < inf


class Verdict(Enum):
    OK = "+"
    NOTED = "!"
    """Something is wrong, or under way, in spite of which this node serves."""
    FAILED = "-"


class Check(NamedTuple):
    name: str
    verdict: Verdict
    reason: str = ""

    def __str__(self) -> str:
        return f"[{self.verdict.value}]{self.name} {self.reason or 'ok'}"


def is_ready(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Verdict.FAILED for check in checks)


def checks_of(facts: Facts) -> list[Check]:
    """In the order in which to look at what is wrong: what comes first may be the cause of what follows."""
    is_late = facts.loop_late_s > facts.loop_late_s_max
    return [
        _check("loop", is_late, f"was {facts.loop_late_s:.1f} s late: the machine is short of processors"),
        _check("gate", not facts.has_asked_around, "is closed: this node asks the others whether its view still holds"),
        _check("view", facts.lacks_view, "is out of date: this node knows of a later one, and cannot store it"),
        _check("clock", facts.clock_is_refused, "is ahead of all others: no write is stamped here until it is right"),
        _disk(facts),
        _check("room", facts.disk_has_no_room, "is used up: the disk is full, and takes no writes but deletions"),
        _caught_up(facts),
        _peers(facts),
    ]


def _check(name: str, has_failed: bool, reason: str) -> Check:
    return Check(name, Verdict.FAILED, reason) if has_failed else Check(name, Verdict.OK)


def _disk(facts: Facts) -> Check:
    if facts.disk_hangs:
        return Check("disk", Verdict.FAILED, "hangs: a commit does not end, and writes are refused until it does")
    return _check("disk", facts.disk_fails, "fails: it has refused the last commit")


def _caught_up(facts: Facts) -> Check:
    if facts.is_to_be_filled:
        reason = "not yet: the disk lacks what this node had, and a co-owner has to bring it"
        return Check("caught-up", Verdict.FAILED, reason)
    if facts.keys_arrive and (facts.disk_hangs or facts.disk_fails or facts.disk_has_no_room):
        reason = "not yet: keys are to arrive, and the disk takes none; they cannot be written here, and reads of them "
        return Check("caught-up", Verdict.NOTED, f"{reason}may be refused")
    if facts.keys_arrive:
        return Check("caught-up", Verdict.NOTED, "not yet: keys arrive, and until then their earlier owners are asked")
    return _check("caught-up", facts.is_owed, "not yet: a co-owner has writes for this node that it has missed")


def _peers(facts: Facts) -> Check:
    if not facts.unreachable:
        return Check("peers", Verdict.OK)
    if _is_isolated(facts.peers, facts.unreachable):
        return Check("peers", Verdict.FAILED, f"none of the {len(facts.peers)} other nodes can be reached")
    named = ", ".join(facts.unreachable[:NAMED_MAX])
    more = f" and {len(facts.unreachable) - NAMED_MAX} more" if len(facts.unreachable) > NAMED_MAX else ""
    if facts.is_returning:
        return Check("peers", Verdict.FAILED, f"are being found again: not yet {named}{more}")
    return Check("peers", Verdict.NOTED, f"cannot be reached: {named}{more}")


def _is_isolated(peers: Sequence[str], unreachable: Sequence[str]) -> bool:
    return len(unreachable) == len(peers) >= ISOLATED_FROM
