"""What a change of the view waits for, who has yet to take the view, and what a view does worse than it need. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from gossip.view import Address
from node.diagnosis.causes import cause_of
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import CHANGE, UNDO, counted, is_are, named, start
from node.net.messages import Owed, Status
from node.views.change_conditions import full_in_the_way

RETRY = f"{CHANGE} shows how far it is; or {UNDO}"


def waits(survey: Survey) -> Iterator[Problem]:
    """A view change that does not get on, and for whom."""
    statuses = {node: seen.status for node, seen in survey.nodes.items() if seen.status is not None}
    epoch = survey.view.epoch
    awaited = sorted({owed.address for owed in _owed(statuses) if not survey.is_up(owed.address)} & survey.view.nodes)
    if awaited:
        some = [owed for owed in _owed(statuses) if owed.address in awaited]
        keys = sum(owed.records for owed in some)
        what = f"the change to epoch {epoch} waits for {named(awaited)}, which cannot be reached: "
        what += f"{counted(sum(owed.partitions for owed in some), 'partition')} are to come from there, or to go there"
        cause = cause_of(survey, awaited)
        yield _waiting(what, f"{cause.see if cause else start(awaited)}; {RETRY}", awaited, keys)
    elif hung := _hung(survey, statuses):
        whose = "disk hangs" if len(hung) == 1 else "disks hang"
        what = f"the change to epoch {epoch} stands still on {named(hung)}, whose {whose}"
        yield _waiting(what, f"as for disk-hangs; {RETRY}", hung)
    elif full := full_in_the_way(survey.view.id, statuses, survey.stall_s):
        what = f"the change to epoch {epoch} waits for room on {named(full)}"
        yield _waiting(what, f"make room on these disks, or leave them out of the view; {RETRY}", full)
    elif late := _late(survey, statuses):
        what = f"the change to epoch {epoch} waits: nothing has moved on {named(late)} for {survey.stall_s:.0f} s"
        yield _waiting(what, f"look at the disks and logs of these nodes; one may hang; {RETRY}", late)


def missing_donors(survey: Survey) -> Iterator[Problem]:
    """Nodes that were removed, and cannot be reached, though others have not told all that they may have."""
    statuses = [seen.status for seen in survey.nodes.values() if seen.status is not None]
    spared = survey.view.nodes | set(survey.view.absent)
    waiting = [owed for status in statuses for owed in status.waiting]
    gone = sorted({owed.address for owed in waiting if not survey.is_up(owed.address)} - spared)
    if gone:
        partitions = max(owed.partitions for owed in waiting if owed.address in gone)
        what = f"{named(gone)} {is_are(gone)} not in the view any more, cannot be reached, and may alone have keys of "
        what += f"{counted(partitions, 'partition')}: requests for keys that are not found elsewhere are refused"
        do = f"{start(gone)}, and the keys come home; or, if gone for good: kvs view-change --gone-for-good"
        yield Problem("removed-node-missing", Severity.WARNING, what, do, tuple(gone))


def untaken(survey: Survey) -> Iterator[Problem]:
    """Nodes that are there, and hold another view than this one, be that an earlier or a later one."""
    mine = survey.view.id
    others = {
        node: seen.status.view.epoch
        for node, seen in sorted(survey.nodes.items())
        if seen.status and seen.status.view != mine and node in survey.view.nodes
    }
    if others:
        each = ", ".join(f"{node} holds epoch {epoch}" for node, epoch in others.items())
        what = f"{survey.me} holds the view of epoch {mine.epoch}, and {each}: the later one spreads within a second"
        do = "if it lasts, look at their disks and logs: a view that cannot be stored is not held"
        yield Problem("view-differs", Severity.WARNING, what, do, tuple(others))


def crowded(survey: Survey) -> Iterator[Problem]:
    """Shards whose copies share zones though they need not."""
    for shard, zones in survey.crowded.items():
        nodes = survey.view.shards[shard]
        what = f"shard {shard + 1}: its copies share {named(sorted(zones))}, and need not: they may fail together"
        do = f"ask for the same nodes again: kvs view-change --to {','.join(sorted(survey.view.nodes))}"
        yield Problem("crowded-shard", Severity.WARNING, what, do, tuple(sorted(nodes)))


def _waiting(what: str, do: str, nodes: Collection[Address], keys: int | None = None) -> Problem:
    return Problem("change-waits", Severity.WARNING, what, do, tuple(nodes), keys)


def _owed(statuses: Mapping[Address, Status]) -> Iterator[Owed]:
    for status in statuses.values():
        yield from status.waiting
        yield from status.handing


def _hung(survey: Survey, statuses: Mapping[Address, Status]) -> list[Address]:
    """Those whose disks hang, and that have something to take."""
    takers = {owed.address for status in statuses.values() for owed in status.handing}
    takers |= {node for node, status in statuses.items() if status.waiting}
    return sorted(filter(survey.hangs, takers))


def _late(survey: Survey, statuses: Mapping[Address, Status]) -> list[Address]:
    stall_ms = 1000 * survey.stall_s
    moving = {node: status for node, status in statuses.items() if not status.settled and status.view == survey.view.id}
    is_stalled = bool(moving) and all(status.still_ms >= stall_ms for status in moving.values())
    return sorted(moving) if is_stalled else []
