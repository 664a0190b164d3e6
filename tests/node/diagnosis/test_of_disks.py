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


GIB = 2**30


@pytest.mark.parametrize(
    ("free", "disk", "is_told"),
    [
        (0, 0, False),
        (GIB, 10 * GIB, False),
        (GIB - 1, 10 * GIB, True),
        (1, 1, False),
        (3 * GIB, 1000 * GIB, False),
        (2 * GIB - 1, 1000 * GIB, True),
    ],
    ids=["it was not said", "a tenth", "less than a tenth", "a small disk, and empty", "little of much", "not much"],
)
def test_low_is_a_disk_with_little_room_by_share_and_by_size(free: int, disk: int, is_told: bool) -> None:
    problems = list(of_disks.low(survey_of(ALONE, {B: ill(ALONE, free_bytes=free, disk_bytes=disk)})))
    assert [(problem.code, problem.severity) for problem in problems] == [("disk-low", Severity.WARNING)] * is_told


def test_low_says_how_much_is_left() -> None:
    (problem,) = of_disks.low(survey_of(ALONE, {B: ill(ALONE, free_bytes=GIB, disk_bytes=100 * GIB)}))
    assert problem.what == f"the disk of {B} has 1,024 MiB left, 1%" and problem.nodes == (B,)


@pytest.mark.parametrize(("view", "severity"), [(ALONE, Severity.CRITICAL), (PAIRS, Severity.WARNING)])
def test_low_is_about_to_refuse_writes_where_only_what_is_set_aside_is_left(view: View, severity: Severity) -> None:
    wrong = ill(view, free_bytes=2**20 - 1, disk_bytes=GIB, set_aside_bytes=20 * 2**20)
    (problem,) = of_disks.low(survey_of(view, {B: wrong}))
    assert problem.severity is severity
    assert problem.what == (
        f"the disk of {B} has no room left: it goes on with what the store has set aside, 20 MiB, then takes deletions "
        "only"
    )


def test_low_is_not_told_of_a_disk_that_is_full() -> None:
    assert not list(of_disks.low(survey_of(ALONE, {B: ill(ALONE, full_ms=1, disk_bytes=GIB)})))
