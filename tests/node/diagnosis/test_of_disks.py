"""Disks that take nothing: how bad that is depends on who else takes what is written."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import Address, Former, View
from node.diagnosis import of_disks
from node.diagnosis.survey import Problem, Seen, Severity
from node.net.messages import Owed
from tests.node.diagnosis.surveys import ALONE, KEYS, PAIRS, WELL, ill, survey_of, up
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D

E = "e:1"


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


GROWN = msgspec.structs.replace(successor(ALONE, A, B, C, D, E), former=(Former(ALONE.id, None, ALONE.shards),))
"""E has been taken in by a change that is under way."""
STUCK = {"disk-hangs": {"hung_ms": 1}, "disk-full": {"full_ms": 1}, "disk-low": {"disk_bytes": 2**30}}


def told_of(view: View, code: str, node: Address, key_count: int, records: int) -> Problem:
    """`records`: that A is to bring to the node."""
    wrong = ill(view, **STUCK[code])
    assert wrong.status is not None
    wrong = wrong._replace(status=msgspec.structs.replace(wrong.status, key_count=key_count))
    bringing = up(view, handing="e")
    assert bringing.status is not None
    owed = (Owed(node, 3, records),)
    bringing = bringing._replace(status=msgspec.structs.replace(bringing.status, handing=owed))
    rules = (of_disks.hung, of_disks.full, of_disks.low)
    (problem,) = (found for rule in rules for found in rule(survey_of(view, {node: wrong, A: bringing})))
    assert problem.code == code
    return problem


@pytest.mark.parametrize("code", STUCK)
def test_keys_on_their_way_to_a_disk_that_takes_nothing_are_counted_and_may_not_be_read(code: str) -> None:
    """See the owner's tests of keys that its disk cannot keep."""
    come = "at most 40 keys that are on the way to it cannot arrive, and cannot be written; reads of them may get a 503"
    come += " too"
    assert told_of(GROWN, code, E, 0, 40).what.endswith(f": {come}")
    assert told_of(GROWN, code, E, 3, 40).what.endswith(f": writes of its 3 keys are refused, reads go on; {come}")
    assert "at most 1 key that is on the way" in told_of(GROWN, code, E, 0, 1).what


@pytest.mark.parametrize("handing", ["", "e"])
def test_keys_on_their_way_from_who_is_out_of_reach_are_not_left_out_silently(handing: str) -> None:
    wrong = up(GROWN, msgspec.structs.replace(WELL, hung_ms=1), waiting="b")
    (problem,) = of_disks.hung(survey_of(GROWN, {E: wrong, A: up(GROWN, handing=handing)}, "b"))
    count = "2 keys or more" if handing else "an unknown number of keys"
    assert f"reads go on; {count} that are on the way to it cannot arrive" in problem.what


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("disk-hangs", "look at the disk, and at dmesg; mend it"),
        ("disk-full", "make room on its file system, or delete keys"),
        ("disk-low", "make room on its file system now, or delete keys"),
    ],
)
def test_disk_of_a_node_that_is_being_added_is_got_rid_of_by_taking_that_back(code: str, mend: str) -> None:
    assert told_of(GROWN, code, E, 0, 40).do == f"take the change back: kvs view-change --undo; or {mend}"
    assert "--undo" not in told_of(GROWN, code, B, 9, 2).do, "it was there before"
    assert "--add" not in told_of(GROWN, code, B, 9, 2).do, "another change is under way"


@pytest.mark.parametrize("code", ["disk-full", "disk-low"])
def test_disk_without_room_is_relieved_by_a_node_that_runs(code: str) -> None:
    rule, wrong = (of_disks.full, of_disks.low)[code == "disk-low"], ill(ALONE, **STUCK[code])
    (problem,) = rule(survey_of(ALONE, {B: wrong}))
    assert problem.do.endswith(
        "; or let another node take some of its keys: kvs view-change --add NEW, a node that runs"
    )


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


@pytest.mark.parametrize(
    ("view", "severity", "refused"),
    [
        (ALONE, Severity.CRITICAL, "writes of its 10 keys are refused, reads go on"),
        (PAIRS, Severity.WARNING, "its copies fall behind, and others take what is written"),
    ],
)
def test_low_is_about_to_refuse_writes_where_only_what_is_set_aside_is_left(
    view: View, severity: Severity, refused: str
) -> None:
    wrong = ill(view, free_bytes=2**20 - 1, disk_bytes=GIB, set_aside_bytes=20 * 2**20)
    (problem,) = of_disks.low(survey_of(view, {B: wrong}))
    assert problem.severity is severity
    assert problem.what == (
        f"the disk of {B} is full but for 20 MiB, which the store has set aside and writes to now; once these are used "
        f"up, it takes deletions only: {refused}"
    )


def test_low_is_not_told_of_a_disk_that_is_full() -> None:
    assert not list(of_disks.low(survey_of(ALONE, {B: ill(ALONE, full_ms=1, disk_bytes=GIB)})))
