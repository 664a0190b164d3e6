"""Disks that take nothing: full, failing, hanging. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gossip.view import Address
from node.diagnosis.causes import way_out
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import counted, replace


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
