"""What clients may be told of one key that only conditional writes change: as if there were one such key, on a single
node that does one thing after the other.

Each write names what it replaces, and each that was made has a version above that. So the order in which they happened
is that of their versions, and nothing has to be searched for: each write must have found what the one before it left,
nobody may see anything older than what somebody was told before he asked, nor anything before it was asked for. A write
without an answer happened if somebody has seen it, or was told that it was replaced; else it may have or not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf

import msgspec

from node.values.condition import Condition
from node.values.version import Version
from tests.sim.registers import Violation


class Decision(msgspec.Struct):
    """One conditional write of a client, with times of one clock."""

    condition: Condition
    deletes: bool
    called: float
    answered: float = inf
    made: Version | None = None
    """It was made, under this version."""
    refused: bool = False
    seen: Version | None = None
    """If it was refused: what the key had instead; None: nothing."""
    tried: list[Version] = msgspec.field(default_factory=list)
    """The versions under which it may have been made."""

    @property
    def is_answered(self) -> bool:
        return self.answered < inf


def check_history(history: Sequence[Decision]) -> None:
    """Raises Violation."""
    by_version = {version: decision for decision in history for version in decision.tried}
    happened = _happened(history, by_version)
    absences = _check_conditions(happened, by_version)
    _check_times(history, sorted(happened), by_version, absences)


def _happened(history: Iterable[Decision], by_version: Mapping[Version, Decision]) -> set[Version]:
    """The versions that the key has had."""
    waiting = [
        *(decision.made for decision in history if decision.made is not None),
        *(decision.seen for decision in history if decision.refused and decision.seen is not None),
    ]
    happened = set[Version]()
    while waiting:
        if (version := waiting.pop()) not in happened:
            happened.add(version)
            if version not in by_version:
                raise Violation(f"{version.hex()} was seen, and nobody has written it")
            if by_version[version].refused:
                raise Violation(f"{version.hex()} was seen, and whoever wrote it was told that it is not made")
            one_of = by_version[version].condition.one_of
            waiting += () if one_of is None else one_of.these
    return happened


def _check_conditions(happened: Collection[Version], by_version: Mapping[Version, Decision]) -> list[Version]:
    """Raises Violation unless the condition of each that happened was met by what was there, as far as is known.
    Returns after which versions there may have been nothing, ascending; empty: at first."""
    may_be_there: set[Version | None] = {None}
    absences = [b""]
    for version in sorted(by_version):
        decision = by_version[version]
        is_met = any(map(decision.condition.is_met, may_be_there))
        left = None if decision.deletes else version
        if version in happened:
            if not is_met:
                told = " or ".join("nothing" if held is None else held.hex() for held in may_be_there)
                raise Violation(
                    f"{version.hex()} was written on the condition of {decision.condition}, but there was {told}"
                )
            may_be_there = {left}
        elif is_met and not decision.is_answered:
            may_be_there.add(left)
        else:
            continue
        if left is None:
            absences.append(version)
    return absences


def _check_times(
    history: Iterable[Decision],
    order: Sequence[Version],
    by_version: Mapping[Version, Decision],
    absences: Sequence[Version],
) -> None:
    """Raises Violation if somebody was told something older than what somebody else had been told before he asked, or
    than what was asked for only later."""
    told: list[tuple[float, Version]] = []
    """When somebody was told something, and the latest version of which anybody was told by then; ascending."""
    for decision in sorted(filter(lambda one: one.is_answered, history), key=lambda one: one.answered):
        at = bisect_right(told, (decision.called, b"")) - 1
        floor = told[at][1] if at >= 0 else b""
        if decision.refused and decision.seen is None:
            possible = [version for version in absences if version >= floor or _ends(order, version, floor)]
            if not possible:
                raise Violation(f"nothing was seen at {decision.answered:.3f}, though there was {floor.hex()} before")
            now = max(possible[0], floor)
        else:
            now = decision.made or decision.seen or b""
        if now < floor:
            raise Violation(f"{now.hex()} at {decision.answered:.3f}, though somebody was told of {floor.hex()} before")
        for version in order[: bisect_right(order, now)]:
            if by_version[version].called > decision.answered:
                raise Violation(f"{version.hex()} was seen before it was asked for")
        told.append((decision.answered, max(now, told[-1][1] if told else b"")))


def _ends(order: Sequence[Version], absence: Version, floor: Version) -> bool:
    """Whether what this deletion left was there at `floor` still."""
    return absence <= floor and bisect_right(order, absence) == bisect_right(order, floor)
