"""What comes of comparing all nodes: a table for each rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvs import findings
from kvs.findings import Asked, findings_of
from kvs.responses import Disk, Problem
from tests.kvs.reports import GIB, NODES, A, B, C, asked, report, ring, status, told_environment

DOWN = Problem("node-down", "warning", "c:1 is down, or cannot be reached from a:1", "start it", (C,))
LOST = Problem("keys-without-owner", "critical", "4 keys have no live owner", "start it", (C,), 4)


def codes(told: Asked) -> dict[str, tuple[str, ...]]:
    return {finding.code: finding.nodes for finding in findings_of(told)}


def test_findings_are_none_where_all_is_well() -> None:
    assert findings_of(asked()) == []


def test_findings_of_the_nodes_themselves_are_told_once_with_who_sees_them() -> None:
    statuses = {A: status(A, DOWN), B: status(B, LOST, DOWN), C: status(C)}
    first, second = findings_of(asked(statuses=statuses))
    assert (first.code, first.seen_by, first.keys) == ("keys-without-owner", (B,), 4)
    assert (second.code, second.seen_by, second.what) == ("node-down", (A, B), DOWN.what)


def test_findings_are_told_the_worst_first() -> None:
    told = asked(report(A, {B: {"reached": False}}), report(B, environment=told_environment(view=(A,))))
    told = told._replace(statuses={A: status(A, DOWN)})
    assert [finding.severity for finding in findings_of(told)] == ["critical", "warning", "note"]


def test_findings_two_nodes_that_answer_here_and_not_each_other_are_cut_off() -> None:
    (finding,) = findings_of(asked(report(A, {B: {"reached": False}, C: {"reached": False}})))
    assert (finding.code, finding.severity, finding.nodes) == ("no-way-between", "critical", (A, B, C))


def test_findings_a_node_that_answers_nobody_is_not_called_cut_off() -> None:
    reports = {node: report(node, {C: {"reached": False}}) for node in (A, B)}
    silent = {C: "connection refused"}
    assert codes(asked(reports=reports, silent=silent)) == {}, "the nodes say so themselves"
    reports = {node: report(node) for node in (A, B)}
    assert codes(asked(reports=reports, silent=silent)) == {"not-asked": (C,)}


def test_findings_of_names_releases_and_environments() -> None:
    fault = {B: {"name_fault": "Name or service not known"}}
    assert codes(asked(report(A, fault))) == {"name-unresolved": (A, B)}
    (finding,) = findings_of(asked(report(C, release="4.1.0")))
    assert finding.what == "nodes are of different releases: 4.0.1 on a:1, b:1; 4.1.0 on c:1"
    (finding,) = findings_of(asked(report(C, environment=told_environment(repl_factor=None))))
    assert (finding.code, finding.severity) == ("environments-differ", "warning")
    assert finding.what == "REPL_FACTOR differs: 2 on a:1, b:1; None on c:1"


@pytest.mark.parametrize(("view", "is_told"), [((A, B), False), ((A,), True), ((A, B, "d:1"), True)])
def test_findings_of_a_view_variable_that_names_others_are_a_note(view: tuple[str, ...], is_told: bool) -> None:
    """It may leave out the node itself."""
    told = findings_of(asked(report(C, environment=told_environment(view=view))))
    assert [(finding.code, finding.severity) for finding in told] == [("view-variable", "note")] * is_told


def test_findings_of_zones() -> None:
    (finding,) = findings_of(asked(report(C, zone="rack-2")))
    assert (finding.code, finding.what) == ("zone-differs", "ZONE on c:1 is rack-2, and the view takes it for c")
    assert findings_of(asked(report(C, zone="rack-2", zone_in_view=None))) == []
    assert codes(asked(ring=ring(2, zones=("a", "a", "a")))) == {"too-few-zones": ("a",)}
    assert "too-few-zones" not in codes(asked(ring=ring(None, zones=("a", "a", "a"))))


@pytest.mark.parametrize(
    ("disk", "is_told"),
    [
        (Disk(10 * GIB, 100 * GIB, False, False), False),
        (Disk(10 * GIB - 1, 100 * GIB, False, False), True),
        (Disk(0, 100 * GIB, True, False), False),
        (Disk(None, None, False, False), False),
    ],
    ids=["a tenth is left", "less is", "it is full, which the node says", "nobody can tell"],
)
def test_findings_of_disks_that_are_about_to_be_full(disk: Disk, is_told: bool) -> None:
    assert codes(asked(report(B, disk=disk))) == ({"disk-low": (B,)} if is_told else {})


def test_findings_of_clocks_are_what_most_others_see() -> None:
    off = {C: {"clock_offset_ms": 1000}}
    assert codes(asked(report(A, off))) == {}
    assert codes(asked(report(A, off), report(B, off))) == {"clock-drifts": (C,)}
    loud = Problem("clock-off", "warning", "", "", (C,))
    said = asked(report(A, off), report(B, off), statuses={A: status(A, loud)})
    assert codes(said) == {"clock-off": (C,)}, "it is said once"


@pytest.mark.parametrize(("took_ms", "is_told"), [(50.0, False), (50.1, True), (None, False)])
def test_findings_of_round_trips_longer_than_made_for(took_ms: float | None, is_told: bool) -> None:
    assert codes(asked(report(A, {C: {"took_ms": took_ms}}))) == ({"round-trip-long": (A, C)} if is_told else {})


def test_findings_of_keys_that_one_more_disk_would_take() -> None:
    assert codes(asked(report(B, whole=False))) == {}
    (finding,) = findings_of(asked(report(B, whole=False), report(C, whole=False)))
    assert (finding.code, finding.nodes, finding.keys) == ("keys-at-risk", (A,), 10)
    assert codes(asked()._replace(reports={A: report(A)})) == {"keys-at-risk": (A,)}


def test_findings_of_one_copy_are_a_note() -> None:
    (finding,) = findings_of(asked(ring=ring(None, (A,), (B,), (C,))))
    assert (finding.code, finding.severity, finding.nodes, finding.keys) == ("one-copy", "note", NODES, 30)


def test_findings_are_in_the_manual() -> None:
    root = Path(__file__).parents[2]
    code = Path(findings.__file__).read_text()
    manual = (root / "docs" / "operations.md").read_text()
    section = manual.partition("## What `kvs doctor` finds")[2].partition("\n## ")[0]
    assert set(re.findall(r'Finding\("([a-z-]+)"', code)) == set(
        re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    )
