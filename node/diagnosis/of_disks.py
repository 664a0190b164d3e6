"""Disks that take nothing: full, failing, hanging; and those that are about to be full. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gossip.view import Address
from node.diagnosis.causes import after_way_out, are_taken_in
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import ADD, counted, replace

LOW_SHARE = 0.1
LOW_BYTES = 2 * 2**30
"""A disk that has less than this share free, and less than so much, is soon full."""
NONE_BYTES = 2**20
"""A store grows by more at once."""


def full(survey: Survey) -> Iterator[Problem]:
    for node in sorted(filter(survey.is_full, survey.nodes)):
        health = survey.seen(node).health
        what = f"the disk of {node} is full, or refuses to be written: {_refused(survey, node)}"
        do = _with_room(survey, node, "make room on its file system, or delete keys")
        yield _problem("disk-full", survey, node, what, do, health.full_ms if health else None)


def hung(survey: Survey) -> Iterator[Problem]:
    for node, health in survey.healths():
        if health.hung_ms:
            what = f"the disk of {node} hangs: {_refused(survey, node)}"
            do = "look at the disk, and at dmesg; mend it"
            if not are_taken_in(survey, [node]):
                do += f", or put another node in its place: {replace([node])}"
            do = after_way_out(survey, [node], do)
            yield _problem("disk-hangs", survey, node, what, do, health.hung_ms)


def low(survey: Survey) -> Iterator[Problem]:
    """Disks that are about to be full, or are but for what the store has set aside for itself."""
    for node, health in survey.healths():
        free, size = health.free_bytes, health.disk_bytes
        if free >= min(LOW_SHARE * size, LOW_BYTES) or survey.is_stuck(node):
            continue
        if free < NONE_BYTES:
            what = f"the disk of {node} is full but for {health.set_aside_bytes >> 20:,} MiB, which the store has set "
            what += (
                f"aside and writes to now; once these are used up, it takes deletions only: {_refused(survey, node)}"
            )
            do = _with_room(survey, node, "make room on its file system now, or delete keys")
            yield _problem("disk-low", survey, node, what, do, None)
        else:
            what = f"the disk of {node} has {free >> 20:,} MiB left, {free / size:.0%}"
            do = _with_room(survey, node, "make room before it is full")
            yield Problem("disk-low", Severity.WARNING, what, do, (node,), survey.keys_of((node,)))


def _with_room(survey: Survey, node: Address, make_room: str) -> str:
    """What to do about a disk without room: no other change of the view is proposed while one is under way."""
    if survey.is_changing:
        return after_way_out(survey, [node], make_room)
    return f"{make_room}; or let another node take some of its keys: {ADD}"


def _problem(code: str, survey: Survey, node: Address, what: str, do: str, lasts_ms: int | None) -> Problem:
    severity = Severity.WARNING if _is_spared(survey, node) else Severity.CRITICAL
    lasts_s = None if lasts_ms is None else lasts_ms / 1000
    return Problem(code, severity, what, do, (node,), survey.keys_of((node,)), lasts_s)


def _refused(survey: Survey, node: Address) -> str:
    """What clients cannot do, and what they can."""
    if _is_spared(survey, node):
        return "its copies fall behind, and others take what is written"
    has, comes = survey.keys_of((node,)), survey.arriving(node)
    here = f"writes of its {counted(has, 'key')} are refused, reads go on"
    is_all = survey.hears_all_that_arrives(node)
    if not comes and is_all:
        return here
    count = f"at most {counted(comes, 'key')}"
    if not is_all:
        count = f"{comes:,} keys or more" if comes else "an unknown number of keys"
    there = f"{count} that {'is' if is_all and comes == 1 else 'are'} on the way to it cannot arrive, and cannot be "
    there += "written; reads of them may get a 503 too"
    return f"{here}; {there}" if has else there


def _is_spared(survey: Survey, node: Address) -> bool:
    """Whether other owners take what is written, or it owns nothing."""
    shard = next((replicas for _, replicas in survey.shards() if node in replicas), ())
    return not shard or any(survey.is_copy(other) for other in shard if other != node)
