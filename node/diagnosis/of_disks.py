"""Disks that take nothing: full, failing, hanging; and those that are about to be full. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gossip.view import Address
from node.diagnosis.causes import way_out
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import counted, replace

LOW_SHARE = 0.1
LOW_BYTES = 2 * 2**30
"""A disk that has less than this share free, and less than so much, is soon full."""
NONE_BYTES = 2**20
"""A store grows by more at once."""


def full(survey: Survey) -> Iterator[Problem]:
    for node in sorted(filter(survey.is_full, survey.nodes)):
        health = survey.seen(node).health
        what = f"the disk of {node} is full, or refuses to be written: {_refused(survey, node)}"
        do = "make room on its file system, or delete keys; or let another node take some: kvs view-change --add NEW"
        yield _problem("disk-full", survey, node, what, do, health.full_ms if health else None)


def hung(survey: Survey) -> Iterator[Problem]:
    for node, health in survey.healths():
        if health.hung_ms:
            what = f"the disk of {node} hangs: {_refused(survey, node)}"
            do = f"look at the disk, and at dmesg; mend it, or put another node in its place: {replace([node])}"
            do += way_out(survey, [node])
            yield _problem("disk-hangs", survey, node, what, do, health.hung_ms)


def low(survey: Survey) -> Iterator[Problem]:
    """Disks that are about to be full, or are but for what the store has set aside for itself."""
    for node, health in survey.healths():
        free, size = health.free_bytes, health.disk_bytes
        if free >= min(LOW_SHARE * size, LOW_BYTES) or survey.is_stuck(node):
            continue
        do = "make room before it is full; or let another node take some of its keys: kvs view-change --add NEW"
        if free < NONE_BYTES:
            what = f"the disk of {node} has no room left: it goes on with what the store has set aside, "
            what += f"{health.set_aside_bytes >> 20:,} MiB, then takes deletions only"
            yield _problem("disk-low", survey, node, what, do, None)
        else:
            what = f"the disk of {node} has {free >> 20:,} MiB left, {free / size:.0%}"
            yield Problem("disk-low", Severity.WARNING, what, do, (node,), survey.keys_of((node,)))


def _problem(code: str, survey: Survey, node: Address, what: str, do: str, lasts_ms: int | None) -> Problem:
    severity = Severity.WARNING if _is_spared(survey, node) else Severity.CRITICAL
    lasts_s = None if lasts_ms is None else lasts_ms / 1000
    return Problem(code, severity, what, do, (node,), survey.keys_of((node,)), lasts_s)


def _refused(survey: Survey, node: Address) -> str:
    if _is_spared(survey, node):
        return "its copies fall behind, and others take what is written"
    return f"writes of its {counted(survey.keys_of((node,)), 'key')} are refused, reads go on"


def _is_spared(survey: Survey, node: Address) -> bool:
    """Whether other owners take what is written, or it owns nothing."""
    shard = next((replicas for _, replicas in survey.shards() if node in replicas), ())
    return not shard or any(survey.is_copy(other) for other in shard if other != node)
