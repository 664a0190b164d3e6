"""Disks that take nothing: how bad that is depends on who else takes what is written."""

from __future__ import annotations

import pytest

from gossip.view import Address, View
from node.diagnosis import of_disks
from node.diagnosis.survey import Seen, Severity
from tests.node.diagnosis.surveys import ALONE, KEYS, PAIRS, ill, survey_of, up
from tests.node.views.bench import A, B


@pytest.mark.parametrize(
    ("view", "seen", "down", "severity"),
    [
        (ALONE, {B: ill(ALONE, full_ms=2000)}, "", Severity.CRITICAL),
        (PAIRS, {B: ill(PAIRS, full_ms=2000)}, "", Severity.WARNING),
        (PAIRS, {B: ill(PAIRS, full_ms=2000)}, "a", Severity.CRITICAL),
        (ALONE, {"e:1": ill(ALONE, full_ms=2000)}, "", Severity.WARNING),
    ],
    ids=["the only copy", "another copy takes it", "that one is down", "it owns nothing"],
)
def test_full_is_critical_where_nobody_else_takes_what_is_written(
    view: View, seen: dict[Address, Seen], down: str, severity: Severity
) -> None:
    (problem,) = of_disks.full(survey_of(view, seen, down))
    assert (problem.severity, problem.nodes, problem.lasts_s) == (severity, tuple(seen), 2.0)


def test_full_says_how_many_keys_and_is_told_of_an_older_release_too() -> None:
    (problem,) = of_disks.full(survey_of(ALONE, {B: up(ALONE, None, full=True)}))
    assert (
        problem.what
        == f"the disk of {B} is full, or refuses to be written: writes of its 10 keys are refused, reads go on"
    )
    assert (problem.keys, problem.lasts_s) == (KEYS, None)


def test_two_full_copies_of_a_shard_are_both_critical() -> None:
    problems = of_disks.full(survey_of(PAIRS, {node: ill(PAIRS, full_ms=1) for node in (A, B)}))
    assert [problem.severity for problem in problems] == [Severity.CRITICAL] * 2


def test_hung_is_told_by_the_node_itself() -> None:
    (problem,) = of_disks.hung(survey_of(PAIRS, {B: ill(PAIRS, hung_ms=1500)}))
    assert (problem.code, problem.severity, problem.lasts_s) == ("disk-hangs", Severity.WARNING, 1.5)
    assert "its copies fall behind, and others take what is written" in problem.what
    assert not list(of_disks.hung(survey_of(PAIRS))) and not list(of_disks.full(survey_of(PAIRS)))
